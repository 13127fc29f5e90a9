"""A lender with a history that is taken over in the middle: what it leaves, and what both halves come to.

The former system is the reference engine, which settles the first dates of a story; ours begins with the opening
positions that it leaves. `seeded` takes out of a story what the rules say is settled otherwise after a take-over than
it would have been without one:

- reversals of receipts before it (refused by name), and what came late for its dates (never taken);
- refunds asked for before it (the former system's), and refusals that are mended later among them;
- loans on which it held several credits, which become one, or one that came while another investor held a note;
- loans of which the source has lowered what was paid already, or in a currency that the policy does not name: their
  positions contradict themselves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.reference.opening import Position, positions_of
from tests.reference.reference import Books, Reference
from tests.reference.world import Facts, Holding, Note, Refund, Repayment
from tests.reference.worlds import Story
from tests.stages.conftest import Platform
from tests.stages.test_random_worlds import Pipeline

ELSEWHERE = ("opening_balance", "receipts_in_transit")
"""The accounts that say where a lender's receipts were shown, which the former system's statements did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver:
    """A story, how many of its dates the former system settled, and the positions that it leaves."""

    story: Story
    half: int
    positions: list[Position]

    @property
    def first(self) -> date:
        """The first date of ours."""
        return self.story.world.dates[self.half]

    def former(self) -> Reference:
        """Return the former system after its last date."""
        return _played(self.story, self.half)

    def taken_over(self) -> Reference:
        """Return the rules' own books of the lender that is taken over, before the first date of ours."""
        ours = Reference(self.story.world, self.story.policy)
        ours.runs = self.half
        ours.take_over(self.positions, self.first)
        return ours


def _played(story: Story, dates: int) -> Reference:
    reference = Reference(story.world, story.policy)
    for on in story.world.dates[:dates]:
        reference.run(on)
    return reference


def of(story: Story, *, half: int) -> TakeOver:
    """Return the take-over of a lender after so many dates, without the loans that contradict themselves in it."""
    former = _played(story, half)
    facts = story.world.seen(half)
    wrong = {loan for loan, books in former.books.items() if _contradicts(former, facts, loan, books)}
    story = _without_loans(story, wrong)
    return TakeOver(story=story, half=half, positions=positions_of(_played(story, half)))


def seeded(story: Story, *, half: int) -> TakeOver:
    """Return the take-over of a lender of whom the rules say that it goes on as if it had never been taken over."""
    first = story.world.dates[half]
    opens_at = Reference(story.world, story.policy).window(first)[0]
    story = _keeping(story, lambda row: not (isinstance(row, Refund) and row.requested_at < opens_at))
    former = _played(story, half)
    facts = story.world.seen(half)
    story = _without_loans(
        story,
        {
            loan
            for loan, books in former.books.items()
            if _contradicts(former, facts, loan, books) or _holds_otherwise(former, facts, loan, books, first)
        },
    )
    rows = {fact.row.repayment_id: fact.row for fact in story.world.facts if isinstance(fact.row, Repayment)}
    left = {
        id for books in former.books.values() for id in books.extracted - books.settled.keys() - books.undone.keys()
    }

    def goes_on(row: Any) -> bool:
        if not isinstance(row, Repayment):
            return True
        original = rows.get(row.reverses_repayment_id or "")
        books = former.books.get(row.loan_id, Books())
        if row.received_at < opens_at:
            is_ours = original is not None and original.received_at >= opens_at
            return not is_ours and row.repayment_id in {*books.settled, *books.undone, *left}
        return original is None or original.received_at >= opens_at or original.repayment_id in left

    story = _keeping(story, goes_on)
    return TakeOver(story=story, half=half, positions=positions_of(_played(story, half)))


def _keeping(story: Story, keeps: Any) -> Story:
    facts = tuple(fact for fact in story.world.facts if keeps(fact.row))
    return replace(story, world=replace(story.world, facts=facts))


def _without_loans(story: Story, loans: set[str]) -> Story:
    notes = {f.row.note_id for f in story.world.facts if isinstance(f.row, Note) and f.row.loan_id in loans}
    return _keeping(
        story,
        lambda row: (
            row.note_id not in notes if isinstance(row, Holding) else getattr(row, "loan_id", None) not in loans
        ),
    )


def _contradicts(former: Reference, facts: Facts, loan_id: str, books: Books) -> bool:
    """Tell whether the source has a loan otherwise by now than the former system settled it."""
    notes = {note.note_id: note.principal for note in facts.notes.get(loan_id, [])}
    owed = {row.receivable_id: row.amount for row in facts.receivables.get(loan_id, [])}
    kept = books.extracted - books.settled.keys() - books.undone.keys()
    return (
        loan_id not in facts.loans
        or facts.loans[loan_id].currency not in former.policy.currencies
        or any(amount > notes.get(note, 0) for note, amount in books.paid.items())
        or any(amount > owed.get(receivable, 0) for receivable, amount in books.allocated.items())
        or any(facts.repayments.get(id) != former.was[id] for id in kept)
    )


def _holds_otherwise(former: Reference, facts: Facts, loan_id: str, books: Books, first: date) -> bool:
    """Tell whether what is held on a loan would be shared otherwise, had it come on the eve of the first date."""
    if not books.credits:
        return False
    came_on = former.was[books.credits[0].repayment_id].received_at.astimezone(former.zone).date()
    sales = {
        fact.row.held_from
        for note in facts.notes.get(loan_id, [])
        for fact in former.world.facts
        if isinstance(fact.row, Holding) and fact.row.note_id == note.note_id
    }
    return len(books.credits) > 1 or any(came_on < sold <= first for sold in sales)


def first_date_is(platform: Platform, on: str) -> None:
    """Let the policy in use name the first settlement date."""
    used = Path(os.environ["SETTLEMENT_POLICY"])
    named = Path(os.environ["SETTLEMENT_SNAPSHOTS"]).parent / f"policy-{on}.toml"
    named.write_text(f"first_settlement_date = {on}\n{used.read_text(encoding='utf-8')}", encoding="utf-8")
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(named))


def show_opening(pipeline: Pipeline, taken: TakeOver) -> None:
    """Let the source have the opening positions, and its next run be the first of ours."""
    with pipeline.core.begin() as connection:
        connection.exec_driver_sql(
            "create table core.opening_positions (kind text, subject_id text, currency text, amount bigint)"
        )
        connection.exec_driver_sql("grant select on core.opening_positions to public")
        for row in taken.positions:
            connection.execute(
                sa.text("insert into core.opening_positions values (:kind, :subject, :currency, :amount)"),
                {"kind": row.kind, "subject": row.subject_id, "currency": row.currency, "amount": row.amount},
            )
    pipeline.runs, pipeline.first = taken.half, taken.first


def as_one_history(found: dict[str, Any], former: Reference) -> dict[str, Any]:
    """Return what a date came to, told as the history without a take-over tells it: shares, allocations, totals.

    A credit that was taken over is of the repayment that it was held of. What the former system kept back already is
    kept back for the first time by us.
    """
    of = {f"opening:{loan}": books.credits[0].repayment_id for loan, books in former.books.items() if books.credits}
    kept_back = {id for books in former.books.values() for id in books.extracted - books.settled.keys()}
    return {
        "allocations": Counter(_renamed(found["allocations"], of)),
        "shares": Counter(_renamed(found["shares"], of)),
        "totals": found["totals"],
        "quarantine": Counter(row for row in found["quarantine"].elements() if row[1] not in kept_back),
        "breaks": found["breaks"],
        "credits": {loan: [(of.get(id, id), amount) for id, amount in held] for loan, held in found["credits"].items()},
    }


def _renamed(rows: Counter[tuple[Any, ...]], of: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    for row in rows.elements():
        yield (of.get(row[0], row[0]), *row[1:])


def stand(balances: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return the balances of all accounts that a take-over leaves as they would be."""
    return {key: amount for key, amount in balances.items() if key[0] not in ELSEWHERE}
