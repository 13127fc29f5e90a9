"""Matching what is open on statements with receipts and payouts, and booking what matches."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.bank import matching
from settlement.domain.bank.matching import Match, Mismatch, OpenLine, Subject, SubjectKind, Terms, references
from settlement.domain.bank.matching.model import PAYOUT_KINDS
from settlement.domain.bank.statement import LineState
from settlement.domain.days import SettlementCalendar
from settlement.domain.payments.state import AT_BANK, PayoutState
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply

SHOWN = (*AT_BANK, PayoutState.BOOKED, PayoutState.RETURNED)
"""The states of payouts that statement lines may speak of."""


def for_day(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Match every open line again, also what earlier runs left in suspense; return how many were matched and not."""
    return {"skipped": "dry run"} if day.dry_run else dict(match(services, now=now))


def match(services: Services, *, now: datetime) -> dict[str, int]:
    """Match every line that is open or in suspense; what matches nothing goes to suspense."""
    with services.ledger.books(posting=True) as books:
        return book_lines(services, books, now=now)


def book_lines(services: Services, books: Books, *, now: datetime) -> dict[str, int]:
    """Match and book every line that is open or in suspense, in the transaction of these books."""
    lines = books.bank_lines.lines((LineState.OPEN, LineState.SUSPENDED))
    if not lines:
        return {}
    matches, _ = match_lines(services, books, lines)
    with apply.notifying_of_answers(services, books, now=now):
        book(books, matches, now=now)
    matched = {line.line_id for found in matches for line in found.lines}
    books.bank_lines.suspend([line for line in lines if line.line_id not in matched and not line.is_suspended], now=now)
    return {"matched": len(matched), "suspended": len(lines) - len(matched)}


def match_lines(services: Services, books: Books, lines: Sequence[OpenLine]) -> tuple[list[Match], list[Mismatch]]:
    """Return what the lines are, and which of them point at something of ours without fitting it."""
    named = sorted({key for line in lines for key in references.references_of(line)})
    payouts = books.payouts.by_end_to_end(named)
    receipts: Sequence[Subject] = []
    if len(payouts) < len(lines):  # some line is no payout: offer everything that is still under way
        payouts = pd.concat([payouts, books.payouts.find(states=AT_BANK)]).drop_duplicates("payout_id")
        unmatched = [row.repayment_id for row in books.in_transit.receipts()]
        receipts = services.core.receipts(references=named, repayment_ids=unmatched, calendar=services.calendar)
    subjects = [*receipts, *movements_of(payouts, services.calendar)]
    taken = books.bank_lines.matched_subjects(sorted({s.kind for s in subjects}), [s.subject_id for s in subjects])
    return matching.match(
        lines,
        [subject for subject in subjects if subject.key not in taken],
        taken=[subject for subject in subjects if subject.key in taken],
        terms=_terms(services),
    )


def movements_of(payouts: pd.DataFrame, calendar: SettlementCalendar) -> Iterator[Subject]:
    """Yield the movements of payouts that a statement may show: their leaving, and their coming back, in either order.

    `payouts` is a frame `PAYOUTS`. One that a line has shown already is told from it by whoever matches: a second line
    for it is a doubled payout.
    """
    shown = payouts[payouts["state"].isin(SHOWN)]
    columns = ("payout_id", "amount", "currency", "end_to_end_id", "file_id", "payee_account", "settlement_date")
    next_day = cache(calendar.calendar.next_business_day)
    for payout_id, amount, currency, end_to_end_id, file_id, account, on in frames.rows(shown, *columns):
        about = {"subject_id": payout_id, "currency": currency, "reference": end_to_end_id, "account": account}
        yield Subject(kind=SubjectKind.PAYOUT, amount=-amount, on=next_day(on), group=file_id, **about)
        yield Subject(kind=SubjectKind.PAYOUT_RETURN, amount=amount, on=None, **about)


def _terms(services: Services) -> Terms:
    calendar = services.calendar.calendar
    return Terms(
        tolerance=services.policy.matching.tolerance,
        tolerance_ppm=services.policy.matching.tolerance_ppm,
        remitted_to={
            references.squeezed(theirs): account
            for account, named in services.policy.matching.remitted_to.items()
            for theirs in named
        },
        within_days=services.policy.matching.within_business_days,
        days_apart=lambda first, last: max(0, len(calendar.days_between(min(first, last), max(first, last))) - 1),
    )


def book(books: Books, matches: Sequence[Match], *, now: datetime, by: str = "settlement") -> None:
    """Book matched lines; a payout that is matched is booked, one whose return is matched has come back."""
    books.bank_lines.keep_matches(matches, now=now, by=by)
    lines = {subject.key: line for found in matches for line, subject, _, _ in found.parts()}
    leaving = {payout_id: line for (kind, payout_id), line in lines.items() if kind == SubjectKind.PAYOUT}
    back = {payout_id: line for (kind, payout_id), line in lines.items() if kind == SubjectKind.PAYOUT_RETURN}
    payouts = books.payouts.by_end_to_end(
        [s.reference for found in matches for s in found.subjects if s.kind in PAYOUT_KINDS]
    ).set_index("payout_id", drop=False)
    # What came back before the statement showed it leave stays returned: a state never goes backwards.
    left = payouts.loc[list(leaving)]
    booked = left.index[left["state"].isin(AT_BANK)].tolist()
    books.payouts.step(
        booked,
        PayoutState.BOOKED,
        cause="statement",
        now=now,
        evidence=[
            {"line_id": leaving[payout_id].line_id, "booked_on": leaving[payout_id].booking_date.isoformat()}
            for payout_id in booked
        ],
    )
    books.payouts.note_booking({payout_id: line.booking_date for payout_id, line in leaving.items()})
    if back:
        returned = payouts.loc[list(back)]  # one that leaves and comes back in the same lines is booked by now
        apply.give_back(
            books,
            returned.assign(state=returned["state"].mask(returned.index.isin(booked), PayoutState.BOOKED.value)),
            PayoutState.RETURNED,
            cause="statement",
            reasons=[line.reason for line in back.values()],
            now=now,
            evidence=[{"line_id": line.line_id} for line in back.values()],
        )
