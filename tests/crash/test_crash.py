"""Kill the process on both sides of every commit and every call to the bank: the books end as if nothing had happened.

The points are the product's own list, `settlement.stages.points`; a point that the undisturbed day passes and that
nobody listed fails, and so does a listed one that the day never passes.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from settlement.stages import points

from .conftest import World

LISTED = set(points.COMMITS) | set(points.BANK_CALLS)

# Where money is decided, in the order of the day: in every run of the tests one day dies at each of these. The slow run
# kills a day of its own on both sides of every passing of every point.
DECISIVE = (
    ("opening.take_over", "after"),
    ("prepare.prepare", "after"),
    ("approve.decide", "after"),
    ("submit._write_files", "after"),
    ("submit._hand_over", "after"),
    ("bank.submit", "before"),
    ("bank.submit", "after"),
    ("submit._keep_answer", "after"),
    ("take_in.apply_new", "after"),
)


@pytest.fixture(scope="module")
def undisturbed(
    new_world: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Play the day without a kill: the points as they are passed, with their steps, and how it ends."""
    with new_world() as world:
        trace = tmp_path_factory.mktemp("trace") / "points"
        assert world.play(last="close", trace=trace) == 0
        passed = [(step, point) for step, point in (line.split(" ", 1) for line in trace.read_text().splitlines())]
        return passed, world.outcome()


def killings(passed: list[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Every killing: (point, side, how often the point is passed before)."""
    seen: Counter[str] = Counter()
    found = []
    for _, point in passed:
        seen[point] += 1
        found += [(point, side, seen[point]) for side in ("before", "after")]
    return found


def kill_and_try_again(world: World, *kills: tuple[str, str, int]) -> dict[str, Any]:
    """Die at each point in turn, try the step again as a scheduler does, go on to the end; return how it ended."""
    step = "open_day"
    for kill in kills:
        assert world.play(first=step, last="close", kill=kill) == -signal.SIGKILL, f"nobody died at {kill}"
        step = world.progress.read_text()
    assert world.play(first=step, last="close") == 0, f"the step [{step}] cannot be tried again after {kills}"
    return world.outcome()


def differences(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {
        view: {
            "missing": sorted(set(expected[view]) - set(found[view])),
            "more": sorted(set(found[view]) - set(expected[view])),
        }
        for view in expected
        if expected[view] != found[view]
    }


def test_every_point_that_the_day_passes_is_listed_and_every_listed_point_is_passed(
    undisturbed: tuple[list[tuple[str, str]], dict[str, Any]],
) -> None:
    passed, outcome = undisturbed
    assert {point for _, point in passed} == LISTED
    assert len(outcome["payouts"]) == 3 and all("'booked'" in row for row in outcome["payouts"])
    assert len(outcome["bank"]) == 3


def test_a_day_that_dies_wherever_money_is_decided_ends_as_if_nothing_had_happened(
    new_world: Callable[..., Any], undisturbed: tuple[list[tuple[str, str]], dict[str, Any]]
) -> None:
    _, expected = undisturbed
    with new_world() as world:
        found = kill_and_try_again(world, *((point, side, 1) for point, side in DECISIVE))
    assert differences(expected, found) == {}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_day_killed_anywhere_ends_as_if_nothing_had_happened(
    new_world: Callable[..., Any],
    undisturbed: tuple[list[tuple[str, str]], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    passed, expected = undisturbed
    wrong = {}
    for kill in killings(passed):
        with new_world() as world:
            found = differences(expected, kill_and_try_again(world, kill))
        if found:
            wrong[kill] = found
            with capsys.disabled():
                print(f"\n{kill}: {found}")
    with capsys.disabled():
        print(f"\n{len(passed)} passings of {len(LISTED)} points, {2 * len(passed)} killings, {len(wrong)} differ")
    assert wrong == {}
