"""Hearing the bank's answers, and asking after payouts of which it says nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from settlement.domain.alerts.day import Step
from settlement.domain.bank.messages import SubmissionOutcome
from settlement.domain.errors import Refused
from settlement.domain.payments import payouts
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.files import FileState
from settlement.domain.payments.state import UNPROVEN, PayoutState
from settlement.ports.days import DayRun
from settlement.ports.files import SentFile, Transmission
from settlement.ports.services import Services
from settlement.stages import apply, match, notify, submit, take_in

LONGEST_HANDOVER = timedelta(minutes=5)
"""For so long after a file was handed over without an answer, whoever did it may still be listening."""

ASK_AGAIN_AFTER = timedelta(hours=20)
"""A bank that took a file and says nothing of it is asked again after this time: on its next business day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFile:
    """A payment file with payouts of which nobody knows whether the bank pays them, and the money at risk."""

    file_id: str
    settlement_date: date
    state: FileState
    sent_at: datetime | None
    transmissions: int
    payouts: int
    currency: str
    amount: int


def hear_answers(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in the bank's answers; what is submitted and still unanswered becomes unknown, with the money at risk."""
    if not day.is_paying:
        return {"skipped": "no transfer"}
    take_in.take_in(services, now=now)
    match.match(services, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        silent = books.payouts.find(day.settlement_date, states=(PayoutState.SUBMITTED,))
        books.payouts.step(silent["payout_id"].tolist(), PayoutState.UNKNOWN, cause="no_answer", now=now)
        of_day = books.payouts.find(day.settlement_date)
        unknown = of_day[of_day["state"] == PayoutState.UNKNOWN]
        notify.payouts_unknown(books, day, count=len(unknown), amounts=payouts.totals(unknown), now=now)
        for reason, rejected in of_day[of_day["state"] == PayoutState.REJECTED].groupby("bank_reason"):
            amounts = payouts.totals(rejected)
            notify.payouts_rejected(books, day, reason=str(reason), count=len(rejected), amounts=amounts, now=now)
        notify.step_done(books, day, Step.TRANSFER, row_count=len(of_day), now=now)
    return {"payouts": {state: payouts.totals(in_state) for state, in_state in of_day.groupby("state")}}


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
        waiting = set(books.payouts.find(states=UNPROVEN)["file_id"].dropna())
        asked = [
            file.file_id
            for file in books.files.find()
            if file.file_id in waiting and is_to_go(file, books.files.transmissions(file.file_id))
        ]
    return submit.send(services, asked, day=None, is_to_go=is_to_go, now=now) if asked else {}


def unknown_files(services: Services) -> list[UnknownFile]:
    """Return the files with payouts of which nobody knows whether the bank pays them, with the money at risk."""
    with services.ledger.books(read_only=True) as books:
        at_risk = dict(iter(books.payouts.find(states=UNPROVEN).groupby("file_id")))
        return [
            UnknownFile(
                file_id=file.file_id,
                settlement_date=file.settlement_date,
                state=file.state,
                sent_at=file.sent_at,
                transmissions=len(books.files.transmissions(file.file_id)),
                payouts=len(at_risk[file.file_id]),
                currency=file.currency,
                amount=sum(at_risk[file.file_id]["amount"].tolist()),
            )
            for file in books.files.find()
            if file.file_id in at_risk
        ]


def declare_absent(services: Services, file_id: str, *, by: str, reason: str, now: datetime) -> dict[str, Any]:
    """Let a person say, after asking the bank, that it has nothing more of a file: the rest of it gets its money back.

    It is for what no inquiry can clear: refused at a later transmission, of an earlier one nobody knows; or passed over
    in silence by a bank that has the rest of the file.

    Raises Refused: name or reason is missing, nothing of the file is unknown, or it was sent so lately that it may
    still arrive.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever speaks for the bank gives a name and a reason: --by NAME --reason TEXT")
    with services.ledger.books(posting=True) as books:
        of_file = books.payouts.in_file(file_id)
        left = of_file[of_file["state"].isin(UNPROVEN)]
        if left.empty:
            raise Refused(f"Of file [{file_id}] nothing is unknown: `settlement unknown` lists the files that are")
        sent = books.files.transmissions(file_id)
        if not sent or now - sent[-1].started_at < ASK_AGAIN_AFTER:
            raise Refused(
                f"File [{file_id}] was handed over less than {ASK_AGAIN_AFTER} ago and may still arrive: wait"
            )
        said, ids = {"by": by.strip(), "reason": reason.strip()}, left["payout_id"].tolist()
        with apply.notifying_of_answers(services, books, now=now):
            books.payouts.keep_facts(ids, FactKind.ABSENT, source=by.strip(), evidence=said, now=now)
            apply.follow(services, books, ids, cause="declared_absent", now=now)
        if len(left) == len(of_file):
            books.files.mark(file_id, FileState.REJECTED, now=now)
    return {"file_id": file_id, "payouts": len(left), "amounts": payouts.totals(left)}


def _is_to_be_asked_for(file: SentFile, transmissions: Sequence[Transmission], *, now: datetime) -> bool:
    if not transmissions:
        return False
    last = transmissions[-1]
    if last.outcome is None:
        return now - last.started_at >= LONGEST_HANDOVER
    if file.state is FileState.RECEIVED:
        return last.outcome is SubmissionOutcome.RECEIVED and now - last.started_at >= ASK_AGAIN_AFTER
    return file.state.may_be_sent
