"""Matching what is open on statements with receipts and payouts, and booking what matches."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.bank import matching
from settlement.domain.bank.matching import Mismatch, SubjectKind, Terms, references
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
    if lines.empty:
        return {}
    matches, _ = match_lines(services, books, lines)
    with apply.notifying_of_answers(services, books, now=now):
        book(books, matches, now=now)
    is_matched = lines["line_id"].isin(matches["line_id"])
    books.bank_lines.suspend(lines[~is_matched & ~lines["is_suspended"]], now=now)
    matched = int(is_matched.sum())
    return {"matched": matched, "suspended": len(lines) - matched}


def match_lines(services: Services, books: Books, lines: pd.DataFrame) -> tuple[pd.DataFrame, list[Mismatch]]:
    """Return what the lines are (frame `MATCHES`), and which of them point at something of ours without fitting it."""
    said = frames.rows(lines, "end_to_end_id", "reference", "remittance")
    named = sorted({key for texts in said for key in references.references_of(*texts)})
    payouts = books.payouts.by_end_to_end(named)
    receipts = frames.build(frames.SUBJECTS)
    if len(payouts) < len(lines):  # some line is no payout: offer everything that is still under way
        payouts = pd.concat([payouts, books.payouts.find(states=AT_BANK)]).drop_duplicates("payout_id")
        unmatched = [row.repayment_id for row in books.in_transit.receipts()]
        receipts = services.core.receipts(references=named, repayment_ids=unmatched, calendar=services.calendar)
    subjects = pd.concat([receipts, movements_of(payouts, services.calendar)], ignore_index=True)
    matched = books.bank_lines.matched_subjects(sorted(set(subjects["kind"])), subjects["subject_id"].unique().tolist())
    is_taken = np.array([key in matched for key in frames.rows(subjects, "kind", "subject_id")], dtype=bool)
    return matching.match(lines, subjects[~is_taken], taken=subjects[is_taken], terms=_terms(services))


def movements_of(payouts: pd.DataFrame, calendar: SettlementCalendar) -> pd.DataFrame:
    """Return the movements of payouts that a statement may show, their leaving and their coming back: frame `SUBJECTS`.

    `payouts` is a frame `PAYOUTS`. One that a line has shown already is told from it by whoever matches: a second line
    for it is a doubled payout.
    """
    names = {"payout_id": "subject_id", "end_to_end_id": "reference", "payee_account": "account", "file_id": "group"}
    shown = payouts[payouts["state"].isin(SHOWN)].rename(columns=names)
    next_day = {on: calendar.calendar.next_business_day(on.date()) for on in shown["settlement_date"].unique()}
    leaving = shown.assign(
        kind=SubjectKind.PAYOUT.value, amount=-shown["amount"], on=shown["settlement_date"].map(next_day)
    )
    back = shown.assign(kind=SubjectKind.PAYOUT_RETURN.value, on=None, group=None)
    return frames.shaped(pd.concat([leaving, back], ignore_index=True), frames.SUBJECTS)


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


def book(books: Books, matches: pd.DataFrame, *, now: datetime, by: str = "settlement") -> None:
    """Book matched lines (frame `MATCHES`); a payout that is matched is booked, one whose return is has come back."""
    books.bank_lines.keep_matches(matches, now=now, by=by)
    leaving, back = (_lines_of(matches, kind) for kind in (SubjectKind.PAYOUT, SubjectKind.PAYOUT_RETURN))
    payouts = books.payouts.by_end_to_end([*leaving["reference"], *back["reference"]]).set_index(
        "payout_id", drop=False
    )
    # What came back before the statement showed it leave stays returned: a state never goes backwards.
    left = payouts.loc[leaving.index]
    booked = left.index[left["state"].isin(AT_BANK)]
    books.payouts.step(
        booked.tolist(),
        PayoutState.BOOKED,
        cause="statement",
        now=now,
        evidence=[
            {"line_id": line_id, "booked_on": on.isoformat()}
            for line_id, on in frames.rows(leaving.loc[booked], "line_id", "booking_date")
        ],
    )
    books.payouts.note_booking(dict(frames.rows(leaving, "subject_id", "booking_date")))
    if len(back):
        returned = payouts.loc[back.index]  # one that leaves and comes back in the same lines is booked by now
        apply.give_back(
            books,
            returned.assign(state=returned["state"].mask(returned.index.isin(booked), PayoutState.BOOKED.value)),
            PayoutState.RETURNED,
            cause="statement",
            reasons=[reason for (reason,) in frames.rows(back, "reason")],
            now=now,
            evidence=[{"line_id": line_id} for line_id in back["line_id"]],
        )


def _lines_of(matches: pd.DataFrame, kind: SubjectKind) -> pd.DataFrame:
    """Return the line that shows each payout move so, by payout; of several the last."""
    of_kind = matches[matches["subject_kind"] == kind]
    newest = of_kind.drop_duplicates("subject_id", keep="last").set_index("subject_id", drop=False)
    return newest.loc[of_kind["subject_id"].unique()]
