"""Where no row is late, dates settled in any order come to the same: every order of four dates, against in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import permutations
from typing import Any

import pytest
from settlement.stages import close

from tests.reference import worlds
from tests.reference.reference import Reference
from tests.reference.world import Fact, Repayment
from tests.reference.worlds import Story
from tests.stages.any_order import ROWS
from tests.stages.test_random_worlds import Pipeline, expected, new_pipeline  # noqa: F401 - a fixture


def punctual(seed: int, *, loans: int) -> Story:
    """Return a story of four dates that are all run, in which every row is there from the first run on, for ever."""
    story = worlds.story(seed, loans=loans, days=4)
    facts = tuple(Fact(fact.row) for fact in story.world.facts if fact.from_run == 0)
    return replace(story, world=replace(story.world, facts=facts))


def by_the_rules(story: Story, order: tuple[date, ...]) -> dict[str, Any]:
    """Return what the rules say of every date, once all were run in that order."""
    reference = Reference(story.world, story.policy)
    for on in order:
        reference.run(on)
    loan_of = {fact.row.repayment_id: fact.row.loan_id for fact in story.world.facts if isinstance(fact.row, Repayment)}
    said = {str(on): expected(reference, on, loan_of) for on in sorted(order)}
    rows = {on: {name: of_date[name] for name in ROWS} for on, of_date in said.items()}
    return rows | {"balances": reference.result(order[0]).balances}


def by_the_books(pipeline: Pipeline, story: Story, order: tuple[date, ...]) -> dict[str, Any]:
    """Return what the views say of every date, once all were run in that order."""
    for on in order:
        pipeline.run(on)
    rows = {str(on): {name: rows for name, rows in pipeline.said(on).items() if name in ROWS} for on in sorted(order)}
    with pipeline.services() as services:
        assert close.verify(services) == []
    return rows | {"balances": pipeline.balances()}


@pytest.mark.parametrize("seed", range(4))
def test_the_rules_say_the_same_of_any_order(seed: int) -> None:
    story = punctual(seed, loans=12)
    in_order = by_the_rules(story, story.world.dates)
    assert any(in_order[str(on)]["shares"] for on in story.world.dates)
    for order in permutations(story.world.dates):
        assert by_the_rules(story, order) == in_order, [str(on) for on in order]


def test_the_books_say_the_same_of_any_order(new_pipeline: Any) -> None:  # noqa: F811
    story = punctual(1, loans=40)
    in_order = by_the_rules(story, story.world.dates)
    last_first = story.world.dates[::-1]
    assert by_the_books(new_pipeline(story), story, last_first) == in_order
