"""Matching what is open on statements with receipts and payouts, and booking what matches."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from settlement.domain.bank import matching
from settlement.domain.bank.matching import Match, Mismatch, OpenLine, Subject, SubjectKind, Terms, references
from settlement.domain.bank.matching.model import PAYOUT_KINDS
from settlement.domain.bank.statement import LineState
from settlement.domain.days import SettlementCalendar
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply


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
    with apply.hearing_answers(services, books, now=now):
        book(books, matches, now=now)
    matched = {line.line_id for found in matches for line in found.lines}
    books.bank_lines.suspend([line for line in lines if line.line_id not in matched and not line.is_suspended], now=now)
    return {"matched": len(matched), "suspended": len(lines) - len(matched)}


def match_lines(services: Services, books: Books, lines: Sequence[OpenLine]) -> tuple[list[Match], list[Mismatch]]:
    """Return what the lines are, and which of them point at something of ours without fitting it."""
    asked_for = sorted({key for line in lines for key in references.references_of(line)})
    payouts = {p["payout_id"]: p for p in books.payouts.by_end_to_end(asked_for).values()}
    receipts: Sequence[Subject] = []
    if len(payouts) < len(lines):  # some line is no payout: offer everything that is still under way
        payouts |= {payout["payout_id"]: payout for payout in books.payouts.find(states=apply.OPEN_STATES)}
        unmatched = [row["repayment_id"] for row in books.in_transit.receipts()]
        receipts = services.core.receipts(references=asked_for, repayment_ids=unmatched, calendar=services.calendar)
    subjects = [*receipts, *(s for payout in payouts.values() for s in movements_of(payout, services.calendar))]
    taken = books.bank_lines.matched_subjects(sorted({s.kind for s in subjects}), [s.subject_id for s in subjects])
    return matching.match(
        lines,
        [subject for subject in subjects if subject.key not in taken],
        taken=[subject for subject in subjects if subject.key in taken],
        terms=_terms(services),
    )


def movements_of(payout: Mapping[str, Any], calendar: SettlementCalendar) -> Iterator[Subject]:
    """Yield the movements of a payout that a statement may show: its leaving, and its coming back, in either order.

    One that a line has shown already is told from it by whoever matches: a second line for it is a doubled payout.
    """
    if payout["state"] in ("booked", "returned", *apply.OPEN_STATES):
        on = calendar.calendar.next_business_day(payout["settlement_date"])
        yield _movement_of(payout, SubjectKind.PAYOUT, -payout["amount"], on=on)
        yield _movement_of(payout, SubjectKind.PAYOUT_RETURN, payout["amount"], on=None)


def _movement_of(payout: Mapping[str, Any], kind: SubjectKind, amount: int, *, on: date | None) -> Subject:
    return Subject(
        kind=kind,
        subject_id=payout["payout_id"],
        amount=amount,
        currency=payout["currency"],
        reference=payout["end_to_end_id"],
        on=on,
        group=payout["file_id"] if kind is SubjectKind.PAYOUT else None,
        account=payout["payee_account"],
    )


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
    payouts = {
        payout["payout_id"]: payout
        for payout in books.payouts.by_end_to_end(
            [s.reference for found in matches for s in found.subjects if s.kind in PAYOUT_KINDS]
        ).values()
    }
    # What came back before the statement showed it leave stays returned: a state never goes backwards.
    booked = [payout_id for payout_id in leaving if payouts[payout_id]["state"] in apply.OPEN_STATES]
    books.payouts.step(
        booked,
        "booked",
        cause="statement",
        now=now,
        evidence=[
            {"line_id": leaving[payout_id].line_id, "booked_on": leaving[payout_id].booking_date.isoformat()}
            for payout_id in booked
        ],
    )
    books.payouts.note_booking({payout_id: line.booking_date for payout_id, line in leaving.items()})
    if back:
        # A payout that leaves and comes back in the same lines is booked by now.
        returned = [payouts[payout_id] | ({"state": "booked"} if payout_id in booked else {}) for payout_id in back]
        apply.give_back(
            books,
            returned,
            "returned",
            cause="statement",
            reasons=[line.reason for line in back.values()],
            now=now,
            evidence=[{"line_id": line.line_id} for line in back.values()],
        )
