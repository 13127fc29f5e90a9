"""A settled day is run again for a source that was corrected, and killed: it ends as a run again that nobody killed.

The run again makes a second revision. One pays an investor the tax that was withheld for a wrong class; another takes
back money that was paid out, on the word of a second person, which takes half a minute and is slow.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .conftest import World
from .test_crash import differences, killings

CORRECTED = "update core.investors set tax_class = 'lender' where investor_id = 'A'"
TAKES_BACK = "update core.receivables set amount = 8000 where receivable_id = 'L1-1-I'"


@contextmanager
def settled(new_world: Callable[..., Any], *, corrected: str = CORRECTED) -> Iterator[World]:
    """Begin a world, settle and pay its day, and correct its source."""
    with new_world() as world:
        assert world.play() == 0
        world.correct(corrected)
        yield world


@pytest.fixture(scope="module")
def undisturbed(
    new_world: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Run the day again without a kill: the points as they are passed, with their steps, and how it ends."""
    with settled(new_world) as world:
        trace = tmp_path_factory.mktemp("trace") / "points"
        assert world.play(run_id="run-2", trace=trace) == 0
        passed = [(step, point) for step, point in (line.split(" ", 1) for line in trace.read_text().splitlines())]
        return passed, world.outcome()


def kill_and_try_again(world: World, *kills: tuple[str, str, int]) -> dict[str, Any]:
    """Die at each point in turn, try the step again, go on to the end; return how it ended."""
    step = "open_day"
    for kill in kills:
        assert world.play(run_id="run-2", first=step, kill=kill) == -signal.SIGKILL, f"nobody died at {kill}"
        step = world.progress.read_text()
    assert world.play(run_id="run-2", first=step) == 0, f"the step [{step}] cannot be tried again after {kills}"
    return world.outcome()


def test_a_day_that_is_run_again_and_dies_around_its_restatement_ends_as_if_nothing_had_happened(
    new_world: Callable[..., Any], undisturbed: tuple[list[tuple[str, str]], dict[str, Any]]
) -> None:
    _, expected = undisturbed
    assert [row for row in expected["payouts"] if "'20260216.2.A.KRW.1.1'" in row and "770, 'booked'" in row] != []
    assert len(expected["payouts"]) == len(expected["bank"]) == 4
    with settled(new_world) as world:
        around = [("compute._distribute", side, 1) for side in ("before", "after")]
        found = kill_and_try_again(world, *around, ("prepare.prepare", "after", 1))
    assert differences(expected, found) == {}


@pytest.mark.slow
def test_a_restatement_that_takes_money_back_and_dies_around_its_approval_ends_as_if_nothing_had_happened(
    new_world: Callable[..., Any],
) -> None:
    with settled(new_world, corrected=TAKES_BACK) as world:
        assert world.play(run_id="run-2") == 0
        expected = world.outcome()
    overdrawn = [row for row in expected["balances"] if "investor_payable" in row]
    assert overdrawn == [f"('investor_payable:{who}', 'KRW', {by})" for who, by in (("A", 752), ("B", 547), ("C", 304))]
    with settled(new_world, corrected=TAKES_BACK) as world:
        around = [
            (point, side, 1) for point in ("take_back.approve", "compute._distribute") for side in ("before", "after")
        ]
        found = kill_and_try_again(world, *around)
    assert differences(expected, found) == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_day_that_is_run_again_and_killed_anywhere_ends_as_if_nothing_had_happened(
    new_world: Callable[..., Any], undisturbed: tuple[list[tuple[str, str]], dict[str, Any]]
) -> None:
    passed, expected = undisturbed
    wrong = {}
    for kill in killings(passed):
        with settled(new_world) as world:
            if found := differences(expected, kill_and_try_again(world, kill)):
                wrong[kill] = found
    assert wrong == {}
