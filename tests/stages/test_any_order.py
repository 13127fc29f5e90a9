"""Random worlds settled in any order, and again: after every run the books say what the rules say of its history."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from settlement.stages import close

from tests.reference import worlds
from tests.reference.player import differences
from tests.reference.reference import Reference
from tests.reference.world import Repayment
from tests.stages.test_random_worlds import expected, new_pipeline  # noqa: F401 - a fixture

ROWS = ("allocations", "shares", "quarantine", "released", "refunds", "credits", "totals")


@pytest.mark.parametrize(
    ("seed", "loans", "days"),
    [
        (100, 6, 3),
        pytest.param(100, 25, 6, marks=pytest.mark.slow, id="larger, two minutes"),
        pytest.param(101, 25, 6, marks=pytest.mark.slow, id="another, two minutes"),
    ],
)
def test_dates_settled_in_any_order_say_what_the_rules_say(
    new_pipeline: Any,  # noqa: F811
    seed: int,
    loans: int,
    days: int,
) -> None:
    story = worlds.story(seed, loans=loans, days=days)
    pipeline, reference = new_pipeline(story), Reference(story.world, story.policy)
    loan_of = {f.row.repayment_id: f.row.loan_id for f in story.world.facts if isinstance(f.row, Repayment)}
    random = Random(seed)
    order = [*story.world.dates, *random.choices(story.world.dates, k=4)]
    random.shuffle(order)
    for number, on in enumerate(order):
        reference.run(on)
        pipeline.run(on)
        for settled in sorted(reference.revisions):
            wanted = {name: rows for name, rows in expected(reference, settled, loan_of).items() if name in ROWS}
            found = differences(wanted, pipeline.said(settled))
            assert not found, "\n".join([f"seed {seed}, run {number} of {on} ({order}): on {settled}", *found[:40]])
        assert pipeline.balances() == reference.result(on).balances, f"seed {seed}, run {number} of {on}"
        with pipeline.services() as services:
            assert close.verify(services) == [], f"seed {seed}, run {number} of {on}"
    assert pipeline.months()
