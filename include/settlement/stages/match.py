"""Matching what is open on statements with receipts and payouts, and booking what matches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from settlement.domain import frames
from settlement.domain.bank import matching
from settlement.domain.bank.matching import Mismatch, Subject, SubjectKind, Terms, references
from settlement.domain.bank.matching.model import PAYOUT_KINDS, RECEIPT_KINDS
from settlement.domain.bank.matching.spelling import Spelling
from settlement.domain.bank.statement import LineState
from settlement.domain.books.opening import OpeningKind
from settlement.domain.days import SettlementCalendar
from settlement.domain.payments import evidence
from settlement.domain.payments.state import AT_BANK, PayoutState
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.opening import OpeningItem
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
    if lines.empty:
        return {}
    left = asked = lines
    with apply.notifying_of_answers(services, books, now=now):
        while len(asked):
            matches, _ = match_lines(services, books, asked)
            if len(matches):
                book(services, books, matches, now=now)
                left = left[~left["line_id"].isin(matches["line_id"])]
            keys = [key for (key,) in frames.rows(left, "end_to_end_id") if key]
            if not keys:
                break
            named = books.payouts.by_end_to_end(keys)
            apply.follow(services, books, named["payout_id"].tolist(), cause="statement", now=now)
            asked = left[left["end_to_end_id"].isin(named["end_to_end_id"] if len(matches) else ())]
    if not left["is_suspended"].all():
        books.bank_lines.suspend(left[~left["is_suspended"]], now=now)
    return {"matched": len(lines) - len(left), "suspended": len(left)}


def match_lines(services: Services, books: Books, lines: pd.DataFrame) -> tuple[pd.DataFrame, list[Mismatch]]:
    """Return what the lines are (frame `MATCHES`), and which of them point at something of ours without fitting it."""
    terms = _terms(services)
    said = frames.rows(lines, "line_id", "end_to_end_id", "reference", "bank_reference", "remittance")
    named = {line_id: references.references_of(*texts, spellings=terms.spellings) for line_id, *texts in said}
    keys = sorted({key for of_line in named.values() for key in of_line})
    payouts = books.payouts.by_end_to_end(keys)
    has_others = len(payouts) < len(lines)
    if has_others:  # some line is no payout: offer everything that is still under way
        payouts = pd.concat([payouts, books.payouts.find(states=AT_BANK)]).drop_duplicates("payout_id")
    offered, taken = movements_of(books, payouts, lines, named=named, calendar=services.calendar)
    if has_others:
        unmatched = [row.repayment_id for row in books.in_transit.receipts()]
        receipts = services.core.receipts(
            references=keys,
            since=first_taken(services, books) or lines["booking_date"].min().date(),
            repayment_ids=unmatched,
            calendar=services.calendar,
        )
        shown = books.bank_lines.matched_subjects(sorted(RECEIPT_KINDS), receipts["subject_id"].tolist())
        is_taken = np.array([key in shown for key in frames.rows(receipts, *frames.SUBJECTS.key)], dtype=bool)
        waiting, shown_before = _taken_over(books)
        offered = pd.concat([receipts[~is_taken], waiting, offered])
        taken = pd.concat([receipts[is_taken], shown_before, taken])
    return matching.match(lines, offered, taken=taken, terms=terms)


def _taken_over(books: Books) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what another system had under way that no line has shown, and what lines have: frames `SUBJECTS`.

    A line shows it by its reference alone, so it is expected on no day and named by no group.
    """
    under_way = books.opening.under_way()
    found = frames.build(frames.SUBJECTS, [asdict(of_opening(row)) for row in under_way])
    is_shown = np.array([row.is_shown for row in under_way], dtype=bool)
    return found[~is_shown], found[is_shown]


def of_opening(row: OpeningItem) -> Subject:
    """Return what a line may turn out to be that another system had under way."""
    is_receipt = row.kind is OpeningKind.RECEIPT_IN_TRANSIT
    return Subject(
        kind=SubjectKind.RECEIPT if is_receipt else SubjectKind.PAYOUT,
        subject_id=row.item_id,
        amount=row.signed_amount,
        currency=row.currency,
        reference=row.reference,
    )


def first_taken(services: Services, books: Books) -> date | None:
    """Return the date from whose window on runs take receipts: the policy's first date, or the oldest settled one.

    What came before it is nobody's to match. None before there is any.
    """
    named = [services.calendar.first] if services.calendar.first else []
    return min([*named, *books.days.settled()], default=None)


def movements_of(
    books: Books,
    payouts: pd.DataFrame,
    lines: pd.DataFrame,
    *,
    named: Mapping[str, Sequence[str]],
    calendar: SettlementCalendar,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the movements of payouts that these lines may show, their leaving and coming back, and those shown last.

    `payouts` is a frame `PAYOUTS`, `lines` a frame `OPEN_LINES`, `named` what each line may name; what is returned are
    frames `SUBJECTS`. A payout that is at the bank and named by one debit at most can only leave; of any other its
    evidence says how often it leaves and comes back in the end.
    """
    naming = Counter(key for of_line in named.values() for key in of_line)
    several = {key for key, times in naming.items() if times > 1}
    credited = {key for line_id, due in frames.rows(lines, "line_id", "amount") if due > 0 for key in named[line_id]}
    is_sent = payouts["submitted_at"].notna()
    is_plain = is_sent & payouts["state"].isin(AT_BANK) & ~payouts["end_to_end_id"].isin(several | credited)
    offered, is_other = _moving(payouts[is_plain], SubjectKind.PAYOUT, calendar), is_sent & ~is_plain
    if not is_other.any():
        return offered, frames.build(frames.SUBJECTS)
    other = payouts[is_other]
    known = books.payouts.evidence(other["payout_id"].tolist())
    told = _told_by_text(lines, other, named)
    known["debits"] += known["payout_id"].map(told[SubjectKind.PAYOUT]).fillna(0).astype("int64")
    known["credits"] += known["payout_id"].map(told[SubjectKind.PAYOUT_RETURN]).fillna(0).astype("int64")
    due = known[["payout_id", "matched_debits", "matched_credits"]].join(evidence.movements(known))
    moving = other.merge(due, on="payout_id", validate="one_to_one")
    next_, last = [offered], []
    for kind, so_far, at_last in (
        (SubjectKind.PAYOUT, moving["matched_debits"], moving["leaving"]),
        (SubjectKind.PAYOUT_RETURN, moving["matched_credits"], moving["back"]),
    ):
        last.append(_moving(moving.assign(occurrence=so_far)[so_far > 0], kind, calendar))
        next_.append(_moving(moving.assign(occurrence=so_far + 1)[so_far < at_last], kind, calendar))
    return pd.concat(next_), pd.concat(last)


def _told_by_text(
    lines: pd.DataFrame, payouts: pd.DataFrame, named: Mapping[str, Sequence[str]]
) -> dict[SubjectKind, Counter[str]]:
    """Return how many lines show payouts leaving, and coming back, that have their ids elsewhere than in its place."""
    ours = {
        key: (payout_id, due) for key, payout_id, due in frames.rows(payouts, "end_to_end_id", "payout_id", "amount")
    }
    told: dict[SubjectKind, Counter[str]] = {SubjectKind.PAYOUT: Counter(), SubjectKind.PAYOUT_RETURN: Counter()}
    columns = ("line_id", "end_to_end_id", "amount", "is_return")
    for line_id, end_to_end_id, amount, is_return in frames.rows(lines, *columns):
        for key in named[line_id]:
            if key not in ours or key == end_to_end_id:
                continue
            payout_id, due = ours[key]
            if evidence.is_debit(amount, due):
                told[SubjectKind.PAYOUT][payout_id] += 1
            elif evidence.is_credit(amount, due, is_return=is_return):
                told[SubjectKind.PAYOUT_RETURN][payout_id] += 1
    return told


def _moving(payouts: pd.DataFrame, kind: SubjectKind, calendar: SettlementCalendar) -> pd.DataFrame:
    """Return payouts (frame `PAYOUTS`) as a line shows them moving: frame `SUBJECTS`.

    Which time they do says a column `occurrence`, or it is the first.
    """
    is_leaving = kind is SubjectKind.PAYOUT
    prepared = payouts["settlement_date"]
    next_day = {on: calendar.calendar.next_business_day(on.date()) for on in prepared.unique()}
    nothing = [None] * len(payouts)
    return frames.of_columns(
        frames.SUBJECTS,
        {
            "kind": [kind.value] * len(payouts),
            "subject_id": payouts["payout_id"],
            "occurrence": payouts.get("occurrence", [1] * len(payouts)),
            "amount": -payouts["amount"] if is_leaving else payouts["amount"],
            "currency": payouts["currency"],
            "reference": payouts["end_to_end_id"],
            "on": prepared.map(next_day) if is_leaving else nothing,
            "group": payouts["file_id"] if is_leaving else nothing,
            "account": payouts["payee_account"],
        },
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
        shared_within_days=services.policy.matching.shared_within_business_days,
        spellings=tuple(Spelling(**kind.model_dump()) for kind in services.policy.matching.references),
        days_apart=lambda first, last: max(0, len(calendar.days_between(min(first, last), max(first, last))) - 1),
    )


def book(services: Services, books: Books, matches: pd.DataFrame, *, now: datetime, by: str = "settlement") -> None:
    """Book matched lines (frame `MATCHES`), and let the payouts among them be where their lines prove them to be.

    What was written off because its line did not come is written off no longer.
    """
    books.bank_lines.keep_matches(matches, now=now, by=by)
    if matches.empty:
        return
    shown = list(frames.rows(matches, "subject_kind", "subject_id", "reference", "line_id", "booking_date"))
    shown_on = apply.open_date(services, books, max(on for *_, on in shown))
    subject_ids = list(dict.fromkeys(subject_id for _, subject_id, *_ in shown))
    books.journal.undo_write_offs(subject_ids, settlement_date=shown_on, now=now)
    leaving = {payout_id: (line_id, on) for kind, payout_id, _, line_id, on in shown if kind == SubjectKind.PAYOUT}
    back = {payout_id for kind, payout_id, *_ in shown if kind == SubjectKind.PAYOUT_RETURN}
    payouts = books.payouts.by_end_to_end([reference for kind, _, reference, *_ in shown if kind in PAYOUT_KINDS])
    # Most of a day: what is at the bank, leaves and nobody spoke of is booked, which its evidence would say too.
    spoken_of = books.payouts.spoken_of(payouts["payout_id"].tolist())
    is_plain = payouts["state"].isin(AT_BANK) & ~payouts["payout_id"].isin(back | spoken_of)
    booked = payouts.loc[is_plain, "payout_id"].tolist()
    proofs = [leaving[payout_id] for payout_id in booked]
    books.payouts.step(
        booked,
        PayoutState.BOOKED,
        cause="statement",
        now=now,
        evidence=[{"line_id": line_id, "booked_on": on.isoformat()} for line_id, on in proofs],
    )
    apply.follow(services, books, payouts.loc[~is_plain, "payout_id"].tolist(), cause="statement", now=now)
