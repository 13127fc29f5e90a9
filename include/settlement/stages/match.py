"""Matching what is open on statements with receipts and payouts, and booking what matches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.bank import matching
from settlement.domain.bank.matching import Match, Mismatch, OpenLine, Subject, SubjectKind, Terms, references
from settlement.domain.bank.matching.model import PAYOUT_KINDS, RECEIPT_KINDS
from settlement.domain.bank.statement import LineState
from settlement.domain.days import SettlementCalendar
from settlement.domain.payments import evidence
from settlement.domain.payments.state import AT_BANK, PayoutState
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
    """Match and book every line that is open or in suspense, in the transaction of these books.

    A payout that left and came back more than once is matched time by time: its next is offered once the former is
    matched.
    """
    lines = books.bank_lines.lines((LineState.OPEN, LineState.SUSPENDED))
    if not lines:
        return {}
    left = {line.line_id: line for line in lines}
    with apply.notifying_of_answers(services, books, now=now):
        asked: Sequence[OpenLine] = lines
        while asked:
            matches, _ = match_lines(services, books, asked)
            if matches:
                book(services, books, matches, now=now)
            for line_id in [line.line_id for found in matches for line in found.lines]:
                del left[line_id]
            keys = [line.end_to_end_id for line in left.values() if line.end_to_end_id]
            if not keys:
                break
            named = books.payouts.by_end_to_end(keys)
            apply.follow(services, books, named["payout_id"].tolist(), cause="statement", now=now)
            several = set(named["end_to_end_id"]) if matches else ()
            asked = [line for line in left.values() if line.end_to_end_id in several]
    books.bank_lines.suspend([line for line in left.values() if not line.is_suspended], now=now)
    return {"matched": len(lines) - len(left), "suspended": len(left)}


def match_lines(services: Services, books: Books, lines: Sequence[OpenLine]) -> tuple[list[Match], list[Mismatch]]:
    """Return what the lines are, and which of them point at something of ours without fitting it."""
    named = {line.line_id: references.references_of(line) for line in lines}
    keys = sorted({key for of_line in named.values() for key in of_line})
    payouts = books.payouts.by_end_to_end(keys)
    receipts: Sequence[Subject] = []
    if len(payouts) < len(lines):  # some line is no payout: offer everything that is still under way
        payouts = pd.concat([payouts, books.payouts.find(states=AT_BANK)]).drop_duplicates("payout_id")
        unmatched = [row.repayment_id for row in books.in_transit.receipts()]
        receipts = services.core.receipts(references=keys, repayment_ids=unmatched, calendar=services.calendar)
    taken = books.bank_lines.matched_subjects(sorted(RECEIPT_KINDS), [receipt.subject_id for receipt in receipts])
    leaving_or_back, shown = movements_of(books, payouts, lines, named=named, calendar=services.calendar)
    return matching.match(
        lines,
        [*(subject for subject in receipts if subject.key not in taken), *leaving_or_back],
        taken=[*(subject for subject in receipts if subject.key in taken), *shown],
        terms=_terms(services),
    )


def movements_of(
    books: Books,
    payouts: pd.DataFrame,
    lines: Sequence[OpenLine],
    *,
    named: Mapping[str, Sequence[str]],
    calendar: SettlementCalendar,
) -> tuple[list[Subject], list[Subject]]:
    """Return the movements of payouts that these lines may show, their leaving and coming back, and those shown last.

    `payouts` is a frame `PAYOUTS`, `named` what each line may name. One that is at the bank and named by one debit at
    most can only leave; of any other its evidence says how often it leaves and comes back in the end.
    """
    sent = payouts[payouts["submitted_at"].notna()].set_index("end_to_end_id", drop=False)
    naming = Counter(key for line in lines for key in named[line.line_id])
    credited = {key for line in lines if line.amount > 0 for key in named[line.line_id]}
    is_plain = (
        sent["state"].isin(AT_BANK)
        & (sent.index.map(naming.__getitem__).to_numpy(dtype="int64") <= 1)
        & ~sent.index.isin(credited)
    )
    plain, other = sent[is_plain], sent[~is_plain]
    offered = [_movement(row, SubjectKind.PAYOUT, 1, calendar) for row in frames.rows(plain, *MOVING)]
    shown: list[Subject] = []
    if other.empty:
        return offered, shown
    known = books.payouts.evidence(other["payout_id"].tolist())
    told = _told_by_text(lines, other, named)
    known["debits"] += known["payout_id"].map(told[SubjectKind.PAYOUT]).fillna(0).astype("int64")
    known["credits"] += known["payout_id"].map(told[SubjectKind.PAYOUT_RETURN]).fillna(0).astype("int64")
    due = known[["payout_id", "matched_debits", "matched_credits"]].join(evidence.movements(known))
    times = {row[0]: row[1:] for row in frames.rows(due, *due.columns)}
    for row in frames.rows(other, *MOVING):
        debits, credits, leaving, back = times[row[0]]
        for kind, so_far, at_last in (
            (SubjectKind.PAYOUT, debits, leaving),
            (SubjectKind.PAYOUT_RETURN, credits, back),
        ):
            if so_far:
                shown.append(_movement(row, kind, so_far, calendar))
            if so_far < at_last:
                offered.append(_movement(row, kind, so_far + 1, calendar))
    return offered, shown


def _told_by_text(
    lines: Sequence[OpenLine], payouts: pd.DataFrame, named: Mapping[str, Sequence[str]]
) -> dict[SubjectKind, Counter[str]]:
    """Return how many lines show payouts leaving, and coming back, that have their ids elsewhere than in its place."""
    amounts = dict(frames.rows(payouts, "end_to_end_id", "amount"))
    ids = dict(frames.rows(payouts, "end_to_end_id", "payout_id"))
    told: dict[SubjectKind, Counter[str]] = {SubjectKind.PAYOUT: Counter(), SubjectKind.PAYOUT_RETURN: Counter()}
    for line in lines:
        for key in named[line.line_id]:
            if key not in ids or key == line.end_to_end_id:
                continue
            if evidence.is_debit(line.amount, amounts[key]):
                told[SubjectKind.PAYOUT][ids[key]] += 1
            elif evidence.is_credit(line.amount, amounts[key], is_return=line.is_return):
                told[SubjectKind.PAYOUT_RETURN][ids[key]] += 1
    return told


MOVING = ("payout_id", "amount", "currency", "end_to_end_id", "file_id", "payee_account", "settlement_date")
"""The columns of a payout that a line which shows it moving may say."""


def _movement(row: Sequence[Any], kind: SubjectKind, occurrence: int, calendar: SettlementCalendar) -> Subject:
    payout_id, amount, currency, end_to_end_id, file_id, account, on = row
    is_leaving = kind is SubjectKind.PAYOUT
    return Subject(
        kind=kind,
        subject_id=payout_id,
        amount=-amount if is_leaving else amount,
        currency=currency,
        reference=end_to_end_id,
        on=calendar.calendar.next_business_day(on) if is_leaving else None,
        group=file_id if is_leaving else None,
        account=account,
        occurrence=int(occurrence),
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


def book(services: Services, books: Books, matches: Sequence[Match], *, now: datetime, by: str = "settlement") -> None:
    """Book matched lines, and let the payouts among them be where their lines prove them to be.

    What was written off because its line did not come is written off no longer.
    """
    books.bank_lines.keep_matches(matches, now=now, by=by)
    line_of = {subject.key: line for found in matches for line, subject, _, _ in found.parts()}
    if line_of:
        shown_on = apply.open_date(services, books, max(line.booking_date for line in line_of.values()))
        books.journal.undo_write_offs([key[1] for key in line_of], settlement_date=shown_on, now=now)
    leaving = {payout_id: line for (kind, payout_id, _), line in line_of.items() if kind == SubjectKind.PAYOUT}
    back = {payout_id for kind, payout_id, _ in line_of if kind == SubjectKind.PAYOUT_RETURN}
    payouts = books.payouts.by_end_to_end(
        [s.reference for found in matches for s in found.subjects if s.kind in PAYOUT_KINDS]
    )
    # Most of a day: what is at the bank and leaves is booked, which its evidence would say too.
    is_plain = payouts["state"].isin(AT_BANK) & ~payouts["payout_id"].isin(back)
    booked = payouts.loc[is_plain, "payout_id"].tolist()
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
    apply.follow(services, books, payouts.loc[~is_plain, "payout_id"].tolist(), cause="statement", now=now)
