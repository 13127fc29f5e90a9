"""Hearing the bank's answers, and asking after payouts of which it says nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from settlement.domain.alerts import (
    PayoutsRejected,
    PayoutsUnknown,
)
from settlement.domain.bank.messages import (
    Outcome,
)
from settlement.domain.errors import Refused
from settlement.domain.payments import payouts
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply, match, notify, report, submit, take_in

STILL_TALKING = timedelta(minutes=5)
"""For so long after a file was handed over without an answer, whoever did it may still be listening."""

ASK_AGAIN_AFTER = timedelta(hours=20)
"""A bank that took a file and says nothing of it is asked again after this time: on its next business day."""

NOBODY_KNOWS = ("submitted", "unknown")
"""The states of a payout of which the bank has proven nothing so far."""


def hear_answers(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in the bank's answers; what is submitted and still unanswered becomes unknown, with the money at risk."""
    if not day.is_paying:
        return {"skipped": "no transfer"}
    take_in.take_in(services, now=now)
    match.match(services, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        silent = books.payouts.find(day.settlement_date, states=("submitted",))
        books.payouts.step([p["payout_id"] for p in silent], "unknown", cause="no_answer", now=now)
        of_day = books.payouts.find(day.settlement_date)
        _tell_of_payouts(services, books, day, of_day, now=now)
        report.done(services, books, day, "transfer", row_count=len(of_day), now=now)
    return {
        "payouts": {
            state: payouts.totals([p for p in of_day if p["state"] == state])
            for state in sorted({p["state"] for p in of_day})
        }
    }


def inquire(services: Services, *, now: datetime) -> dict[str, Any]:
    """Ask again for every file of which the bank has proven nothing: the same bytes under the same id.

    Only proof moves a payout: a status, a statement line, or the bank's taking the file now, which shows that it did
    not have it. A bank that says it has the file is not asked again; its statuses and statements tell the rest. Of two
    inquiries at once, the second finds that the first is asking.
    """
    if services.bank is None:
        return {}
    is_to_go = partial(_is_to_be_asked_for, now=now)
    with services.ledger.books(read_only=True) as books:
        waiting = {p["file_id"] for p in books.payouts.find(states=("unknown", "submitted")) if p["file_id"]}
        files = [file for file in books.files.find() if file["file_id"] in waiting]
        asked = [f["file_id"] for f in files if is_to_go(f, books.files.transmissions(f["file_id"]))]
    return submit.send(services, asked, day=None, is_to_go=is_to_go, now=now) if asked else {}


def unknown_files(services: Services) -> list[dict[str, Any]]:
    """Return the files with payouts of which nobody knows whether the bank pays them, with the money at risk."""
    with services.ledger.books(read_only=True) as books:
        at_risk: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for payout in books.payouts.find(states=NOBODY_KNOWS):
            at_risk[payout["file_id"]].append(payout)
        return [
            {
                "file_id": file["file_id"],
                "settlement_date": file["settlement_date"],
                "state": file["state"],
                "sent_at": file["sent_at"],
                "transmissions": len(books.files.transmissions(file["file_id"])),
                "payouts": len(at_risk[file["file_id"]]),
                "currency": file["currency"],
                "amount": sum(payout["amount"] for payout in at_risk[file["file_id"]]),
            }
            for file in books.files.find()
            if file["file_id"] in at_risk
        ]


def declare_absent(services: Services, file_id: str, *, by: str, reason: str, now: datetime) -> dict[str, Any]:
    """Let a person say, after asking the bank, that it has nothing more of a file: the rest of it gets its money back.

    It is for what no inquiry can clear: refused at a later transmission, of an earlier one nobody knows; or passed over
    in silence by a bank that has the rest of the file.

    :raises Refused: name or reason is missing, nothing of the file is unknown, or it was sent so lately that it may
        still arrive.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever speaks for the bank gives a name and a reason: --by NAME --reason TEXT")
    with services.ledger.books(posting=True) as books:
        of_file = books.payouts.in_file(file_id)
        left = [payout for payout in of_file if payout["state"] in NOBODY_KNOWS]
        if not left:
            raise Refused(f"Of file [{file_id}] nothing is unknown: `settlement unknown` lists the files that are")
        sent = books.files.transmissions(file_id)
        if not sent or now - sent[-1]["started_at"] < ASK_AGAIN_AFTER:
            raise Refused(
                f"File [{file_id}] was handed over less than {ASK_AGAIN_AFTER} ago and may still arrive: wait"
            )
        evidence = {"by": by.strip(), "reason": reason.strip()}
        with apply.hearing_answers(services, books, now=now):
            apply.give_back(books, left, "rejected", cause="declared_absent", now=now, evidence=evidence)
        if len(left) == len(of_file):
            books.files.mark(file_id, "rejected", now=now)
    return {"file_id": file_id, "payouts": len(left), "amounts": payouts.totals(left)}


def _is_to_be_asked_for(file: Mapping[str, Any], transmissions: Sequence[Mapping[str, Any]], *, now: datetime) -> bool:
    if not transmissions:
        return False
    last = transmissions[-1]
    if last["outcome"] is None:
        return bool(now - last["started_at"] >= STILL_TALKING)
    if file["state"] == "received":
        return last["outcome"] == Outcome.RECEIVED and bool(now - last["started_at"] >= ASK_AGAIN_AFTER)
    return file["state"] in ("prepared", "submitted", "unknown")


def _tell_of_payouts(
    services: Services, books: Books, day: DayRun, of_day: Sequence[Mapping[str, Any]], *, now: datetime
) -> None:
    """Record alerts for the day's unknown and rejected payouts."""
    if not services.alerts:
        return
    unknown = [p for p in of_day if p["state"] == "unknown"]
    if unknown:
        services.alerts.record(
            books.transaction,
            PayoutsUnknown(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                count=len(unknown),
                amounts=notify.money_of(payouts.totals(unknown)),
                inquiry_at=now + timedelta(minutes=15),
            ),
            now=now,
        )
    for code in sorted({p["bank_reason"] for p in of_day if p["state"] == "rejected" and p["bank_reason"]}):
        rejected = [p for p in of_day if p["state"] == "rejected" and p["bank_reason"] == code]
        services.alerts.record(
            books.transaction,
            PayoutsRejected(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                code=code,
                count=len(rejected),
                amounts=notify.money_of(payouts.totals(rejected)),
            ),
            now=now,
        )
