"""The engine against the reference, row by row and to the unit, on random worlds and on worlds full of whales.

Each world is settled day after day by both; after every day everything is compared: what became of each repayment,
allocations, shares, entries with their postings, quarantine, held credits, totals and breaks. A failure prints the
seed, the date and the rows that only one side has. `explain(seed)` in a shell narrows it down to single loans.
"""

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from . import worlds
from .player import Player, comparable, differences
from .reference import Reference
from .rows import MON, SIMPLE, TUE, WED, held, is_business_day, loan, note, owed, paid
from .world import Fact, Repayment, Row, World
from .worlds import Story


def compare(story: Story, *, shares_per_part: int | None = None) -> tuple[int, list[str]]:
    """Settle every date of the story with both; return how many shares agreed and the differences of the first date."""
    reference = Reference(story.world, story.policy)
    player = Player(story.world, story.policy, shares_per_part=shares_per_part)
    loan_of = {f.row.repayment_id: f.row.loan_id for f in story.world.facts if isinstance(f.row, Repayment)}
    shares = 0
    for run, day in enumerate(story.world.dates):
        expected = reference.run(day)
        entries_of = {loan_id: books.entries for loan_id, books in reference.books.items()}
        found = differences(comparable(expected, loan_of, entries_of), player.run(day))
        if found:
            return shares, [f"seed {story.seed} run {run} of {day}", *found]
        shares += len(expected.shares)
    return shares, []


def explain(seed: int, **sizes: Any) -> Iterator[str]:
    """Yield the differences of a seed's story loan by loan, each loan settled in a world of its own."""
    story = worlds.story(seed, **sizes)
    for loan_id in sorted({f.row.loan_id for f in story.world.facts if isinstance(f.row, Repayment)}):
        alone = Story(seed, story.world.only(loan_id), story.policy)
        _, found = compare(alone)
        if found:
            yield from (f"loan {loan_id}", *found)
            yield from (f"  {fact}" for fact in alone.world.facts if "Investor(" not in str(fact))


def play(shapes: Iterable[dict[str, Any]], at_least: int, *, first_seed: int = 0) -> int:
    """Compare a story of each shape in turn, until that many shares have agreed; return how many did."""
    shares = 0
    for seed, shape in enumerate(cycle(shapes), start=first_seed):
        agreed, found = compare(worlds.story(seed, **shape))
        assert not found, "\n".join([str(shape), *found[:40]])
        shares += agreed
        if shares >= at_least:
            break
    return shares


MANY_DAYS = {"loans": 30, "days": 10, "notes": 4}
MANY_NOTES = {"loans": 60, "days": 5, "notes": 25}
HUGE_LOANS = {"loans": 4, "days": 3, "notes": 4_000}
HUGE_DAYS = {"loans": 2_000, "days": 3, "notes": 40}


def test_five_thousand_shares_agree() -> None:
    assert play([MANY_NOTES, MANY_DAYS, MANY_NOTES], 5_000) >= 5_000


@given(worlds.stories(loans=4, days=4, notes=3))
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_any_small_world_agrees(story: Story) -> None:
    _, found = compare(story)
    assert not found, "\n".join(found[:40])


def test_the_order_of_the_input_rows_means_nothing() -> None:
    story = worlds.story(7, loans=20, days=4)
    turned = World(story.world.facts[::-1], story.world.dates, story.world.is_business_day)
    one, other = Player(story.world, story.policy), Player(turned, story.policy)
    for day in story.world.dates:
        assert one.run(day) == other.run(day)


@pytest.mark.parametrize("shares_per_part", [1, 150])
def test_a_day_settled_in_parts_agrees(shares_per_part: int) -> None:
    shares, found = compare(worlds.story(11, loans=30, days=4, notes=10), shares_per_part=shares_per_part)
    assert not found, "\n".join(found[:40])
    assert shares > 500


ONCE_DIFFERENT = {
    "a reversal that names a loan without money in the run": (
        *SIMPLE,
        loan("L2"),
        owed("p", "principal", 30),
        owed("q", "principal", 20, TUE),
        paid("R", 50, MON),
        paid("X", 50, WED, undoes="R", loan_id="L2"),
    ),
    "a receivable lowered below what it was paid, reversed and paid again": (
        *SIMPLE,
        Fact(owed("c", "cost", 50), until_run=1),
        Fact(owed("c", "cost", 20), from_run=1),
        paid("R", 50, MON),
        paid("X", 50, TUE, undoes="R"),
        paid("S", 50, TUE, "12:00"),
    ),
    "a note lowered below what it was paid, reversed and paid again": (
        *SIMPLE,
        Fact(note("N0", 40), until_run=1),
        Fact(note("N0", 20), from_run=1),
        held("N0", "LEND"),
        owed("p", "principal", 1_000_040),
        paid("R", 1_000_040, MON),
        paid("X", 1_000_040, TUE, undoes="R"),
        paid("S", 1_000_000, TUE, "12:00"),
    ),
    "a note of 2^55 beside a loan of many notes": (
        *SIMPLE,
        *(row for i in range(150) for row in (note(f"N1.{i}", 5), held(f"N1.{i}", "IND"))),
        loan("L2"),
        note("N2", 2**55, loan_id="L2"),
        held("N2", "LEND"),
        owed("p", "principal", 500),
        paid("R", 500, MON),
        paid("S", 500, MON, loan_id="L2"),
    ),
}


@pytest.mark.parametrize("rows", ONCE_DIFFERENT.values(), ids=ONCE_DIFFERENT)
def test_what_once_came_out_different_agrees(rows: Iterable[Row | Fact]) -> None:
    facts = tuple(row if isinstance(row, Fact) else Fact(row) for row in rows)
    _, found = compare(Story(0, World(facts, (MON, TUE, WED), is_business_day), worlds.kr_policy()))
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_million_shares_agree(capsys: pytest.CaptureFixture[str]) -> None:
    shares = play([HUGE_DAYS, MANY_DAYS, HUGE_LOANS, MANY_NOTES, MANY_NOTES], 1_000_000, first_seed=10_000)
    with capsys.disabled():
        print(f"\n{shares:,} shares agree, no difference")
    assert shares >= 1_000_000
