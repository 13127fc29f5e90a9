"""Hearing the bank's answers, and asking after payouts of which it says nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd

from settlement.domain.alerts.day import Step
from settlement.domain.bank.messages import SubmissionOutcome
from settlement.domain.errors import Refused
from settlement.domain.payments import payouts
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.files import FileState
from settlement.domain.payments.state import UNPROVEN, PayoutState
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.files import SentFile, Transmission
from settlement.ports.services import Services
from settlement.stages import apply, gate, match, notify, submit, take_in

LONGEST_HANDOVER = timedelta(minutes=5)
"""For so long after a file was handed over without an answer, whoever did it may still be listening."""

RECONCILED_EVERY = timedelta(minutes=15)
"""How often `bank_reconciliation` runs, and asks."""


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
    """Take in the bank's answers; what is submitted and still unanswered becomes unknown, with the money at risk.

    Where the bank's word comes later, what it took is not unknown yet: see `inquire`.
    """
    if not day.is_paying:
        return {"skipped": "no transfer"}
    take_in.take_in(services, now=now)
    match.match(services, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        if services.bank is None or not services.bank.answers_later:
            silent = books.payouts.find(day.settlement_date, states=(PayoutState.SUBMITTED,))
            books.payouts.step(silent["payout_id"].tolist(), PayoutState.UNKNOWN, cause="no_answer", now=now)
        of_day = books.payouts.find(day.settlement_date)
        _tell_of_unknown(
            services, books, of_day, backfill_id=day.backfill_id, next_inquiry=now + RECONCILED_EVERY, now=now
        )
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

    A bank that took a file has until its next business day to speak of it (see `_due_at`). What it passes over by then
    is unknown, and people are told. A bank that is not known to check for duplicates is never asked: a person asks it.
    """
    if services.bank is None:
        return {}
    is_to_go = partial(_is_to_be_asked_for, services, now=now)
    with services.ledger.books(read_only=True) as books:
        has_silent = not _passed_over(services, books, now=now).empty
    if has_silent:
        _pass_over(services, now=now)
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

    Raises Refused: name or reason is missing, nothing of the file is unknown, or the bank may still take it: it was
    handed over and the bank's next business day has not come.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever speaks for the bank gives a name and a reason: --by NAME --reason TEXT")
    with services.ledger.books(posting=True) as books:
        of_file = books.payouts.in_file(file_id)
        left = of_file[of_file["state"].isin(UNPROVEN)]
        if left.empty:
            raise Refused(f"Of file [{file_id}] nothing is unknown: `settlement unknown` lists the files that are")
        file, sent = books.files.file(file_id), books.files.transmissions(file_id)
        if file is None or not sent:
            raise Refused(f"File [{file_id}] was never handed over: it is sent by the run of its settlement date")
        if now < (due := _due_at(services, file, sent)):
            raise Refused(
                f"File [{file_id}] was handed over at [{sent[-1].started_at.isoformat()}] and may still arrive: wait"
                f" until [{due.isoformat()}], when the bank has had a business day for it"
            )
        said, ids = {"by": by.strip(), "reason": reason.strip()}, left["payout_id"].tolist()
        with apply.notifying_of_answers(services, books, now=now):
            books.payouts.keep_facts(ids, FactKind.ABSENT, source=by.strip(), evidence=said, now=now)
            apply.follow(services, books, ids, cause="declared_absent", now=now)
        if len(left) == len(of_file):
            books.files.mark(file_id, FileState.REJECTED, now=now)
    return {"file_id": file_id, "payouts": len(left), "amounts": payouts.totals(left)}


def _pass_over(services: Services, *, now: datetime) -> None:
    """Let payouts of which the bank has not spoken in time be unknown, and tell people."""
    with services.ledger.books(posting=True) as books:
        passed_over = _passed_over(services, books, now=now)
        books.payouts.step(passed_over["payout_id"].tolist(), PayoutState.UNKNOWN, cause="no_answer", now=now)
        for on in sorted({instant.date() for instant in passed_over["settlement_date"]}):
            day = books.days.find(on)
            run = books.days.run(day.run_id) if day else None
            backfill_id = run.backfill_id if run else None
            of_day = books.payouts.find(on)
            _tell_of_unknown(services, books, of_day, backfill_id=backfill_id, next_inquiry=now, now=now)


def _passed_over(services: Services, books: Books, *, now: datetime) -> pd.DataFrame:
    """Return the payouts (frame `PAYOUTS`) that were handed over, and of which the bank should have spoken by now."""
    submitted = books.payouts.find(states=(PayoutState.SUBMITTED,))
    left = set(submitted["file_id"].dropna())
    silent = [
        file.file_id
        for file in books.files.find()
        if file.file_id in left
        and file.state is not FileState.PREPARED
        and now >= _due_at(services, file, books.files.transmissions(file.file_id))
    ]
    return submitted[submitted["file_id"].isin(silent)]


def _tell_of_unknown(
    services: Services,
    books: Books,
    of_day: pd.DataFrame,
    *,
    backfill_id: str | None,
    next_inquiry: datetime,
    now: datetime,
) -> None:
    """Tell of the unknown among a date's payouts (frame `PAYOUTS`): when the bank is asked, or by whom."""
    unknown = of_day[of_day["state"] == PayoutState.UNKNOWN]
    if unknown.empty:
        return
    asked: list[datetime] = []
    unasked: list[str] = []
    for file_id in sorted(unknown["file_id"].dropna().unique()):
        file = books.files.file(file_id)
        at = _asked_again_at(services, file, books.files.transmissions(file_id)) if file else None
        if at is None:
            unasked.append(file_id)
        else:
            asked.append(max(at, next_inquiry))
    notify.payouts_unknown(
        books,
        unknown["settlement_date"].iloc[0].date(),
        backfill_id=backfill_id,
        count=len(unknown),
        amounts=payouts.totals(unknown),
        inquiry_at=min(asked, default=None),
        ask_about=unasked,
        now=now,
    )


def _is_to_be_asked_for(
    services: Services, file: SentFile, transmissions: Sequence[Transmission], *, now: datetime
) -> bool:
    at = _asked_again_at(services, file, transmissions)
    return at is not None and now >= at


def _asked_again_at(services: Services, file: SentFile, transmissions: Sequence[Transmission]) -> datetime | None:
    """Return from when on the bank is asked for a file again; None: never, until something else becomes known of it."""
    if not transmissions or not submit.may_go(services, transmissions):
        return None
    last = transmissions[-1]
    if last.outcome is None:
        return last.started_at + LONGEST_HANDOVER
    if file.state is FileState.RECEIVED:
        return _due_at(services, file, transmissions) if last.outcome is SubmissionOutcome.RECEIVED else None
    return last.started_at if file.state.may_be_sent else None


def _due_at(services: Services, file: SentFile, transmissions: Sequence[Transmission]) -> datetime:
    """Return when a bank that took the file has spoken of it, or has passed it over.

    It works on the file on the first business day that is neither before the execution date nor before the day of the
    handing-over, and its word on that day is there by the next one, when the statement is (`gate.wait_until`).
    """
    calendar = services.calendar.calendar
    earliest = max(
        submit.execution_date(services, file.settlement_date, file.created_at),
        services.calendar.local_date(transmissions[-1].started_at),
    )
    at_work = earliest if calendar.is_business_day(earliest) else calendar.next_business_day(earliest)
    return gate.waited_until(services, calendar.next_business_day(at_work))
