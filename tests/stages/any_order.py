"""Histories of random worlds: dates in any order, and again, under policies that change, beside the reference.

`play` runs a history through the real source and the real ledger and, after every run, holds the books against the
rules: the rows of every settled date, the balances, and every earlier revision as it was when it was the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from random import Random
from typing import Any

import sqlalchemy as sa
from settlement.domain.policy import Policy
from settlement.stages import close

from tests.reference import corrections, worlds
from tests.reference.player import differences
from tests.reference.reference import Reference
from tests.reference.world import Refund, Repayment
from tests.reference.worlds import Story
from tests.stages.test_random_worlds import Pipeline, expected

ROWS = ("allocations", "shares", "quarantine", "released", "refunds", "credits", "totals")

BREAKS = ("quarantined", "bad_reversal", "refund_exceeds_credit")
"""Breaks that follow from the rows; others follow from the source of today, which a run reads for its loans alone."""

REVISIONS = {
    "allocations": "select settlement_date, revision, repayment_id, receivable_id, currency, component, amount",
    "shares": "select settlement_date, revision, repayment_id, receivable_id, note_id, investor_id, currency,"
    " component, gross_amount, fee_amount, vat_amount, national_tax_amount, local_tax_amount, net_amount",
}
"""The views that tell of every revision, and what they say."""


def rows_of_revisions(pipeline: Pipeline, *, view: str, suffix: str) -> dict[tuple[date, int], list[Any]]:
    """Return what a view says, by settlement date and revision."""
    said: dict[tuple[date, int], list[Any]] = {}
    with pipeline.ledger.connect() as connection:
        for row in connection.execute(sa.text(f"{REVISIONS[view]} from reporting.{view}{suffix}")):
            said.setdefault((row[0], row[1]), []).append(tuple(row[2:]))
    return {at: sorted(rows) for at, rows in said.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A story, the dates that are run in their order, and the policy of each run."""

    story: Story
    order: Sequence[date]
    policies: Sequence[Policy]


def a_history(seed: int, *, again: int, often: float = 3.0, **sizes: Any) -> History:
    """Return the history of that seed: the dates of its story in any order and so many of them `again`, corrected."""
    story, rng = worlds.story(seed, **sizes), Random(seed)
    order = [*story.world.dates, *rng.choices(story.world.dates, k=again)]
    rng.shuffle(order)
    return History(
        story=corrections.corrected(story, seed, runs=len(order), often=often),
        order=order,
        policies=corrections.repriced(story, seed, runs=len(order)),
    )


def play(pipeline: Pipeline, history: History) -> int:
    """Run the history and compare after every run; return how many shares its revisions have."""
    story, order, policies = history.story, history.order, history.policies
    reference = Reference(story.world, policies[0])
    rows = [fact.row for fact in story.world.facts]
    loan_of = {row.repayment_id: row.loan_id for row in rows if isinstance(row, Repayment)}
    loan_of |= {row.refund_id: row.loan_id for row in rows if isinstance(row, Refund)}
    were: dict[str, dict[tuple[date, int], list[Any]]] = {view: {} for view in REVISIONS}
    for number, (on, policy) in enumerate(zip(order, policies, strict=True)):
        at = f"seed {story.seed}, run {number} of {on}, of {[str(each) for each in order]}"
        reference.run(on, policy)
        pipeline.story = replace(story, policy=policy)
        pipeline.run(on)
        for settled in sorted(reference.revisions):
            wanted = {name: rows for name, rows in expected(reference, settled, loan_of).items() if name in ROWS}
            found = differences(wanted, pipeline.said(settled))
            assert not found, "\n".join([f"{at}: on {settled}", *found[:40]])
        assert pipeline.balances() == reference.result(on).balances, at
        there = story.world.seen(number).loans  # money of a loan that is gone is an orphan's
        open_now, by_the_rules = (
            {of: amount for of, amount in breaks.items() if of[0] in BREAKS and loan_of.get(of[1], of[1]) in there}
            for breaks in (pipeline.said(on)["breaks"], reference.breaks)
        )
        missing, more = (
            sorted(by_the_rules.items() - open_now.items()),
            sorted(open_now.items() - by_the_rules.items()),
        )
        assert (missing, more) == ([], []), f"{at}: breaks only by the rules {missing}, only by the engine {more}"
        with pipeline.services() as services:
            assert close.verify(services) == [], at
        for view, seen in were.items():
            newest = rows_of_revisions(pipeline, view=view, suffix="")
            every = rows_of_revisions(pipeline, view=view, suffix="_all_revisions")
            assert {of: every.get(of) for of in newest} == newest, f"{at}: {view} and its revisions"
            assert {of: every.get(of) for of in seen} == seen, f"{at}: {view} of earlier revisions"
            seen |= newest
    with pipeline.services() as services:
        assert [close.replay(services, on)["differs"] for on in reference.revisions] == [[]] * len(reference.revisions)
    return sum(len(rows) for rows in were["shares"].values())
