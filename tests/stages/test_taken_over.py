"""A lender that settled elsewhere is taken over in the middle of its history, and goes on as if it never had been.

The slow ones take 7 minutes on two cores that do other things too.
"""

from __future__ import annotations

from typing import Any

import pytest
from settlement.stages import close

from tests.reference import worlds
from tests.reference.player import differences
from tests.reference.reference import Reference
from tests.reference.world import Repayment
from tests.stages import taking_over
from tests.stages.taking_over import TakeOver
from tests.stages.test_random_worlds import expected, new_pipeline

__all__ = ["new_pipeline"]


def plays_on(pipeline: Any, taken: TakeOver, *, whole: Reference | None, newest_first: bool = False) -> int:
    """Settle the dates after a take-over; return how many shares they came to, all as the rules say.

    With the `whole` history they are also what it came to on these dates without a take-over, to the unit.
    """
    taking_over.show_opening(pipeline, taken)
    world, ours, former = taken.story.world, taken.taken_over(), taken.former()
    loan_of = {f.row.repayment_id: f.row.loan_id for f in world.facts if isinstance(f.row, Repayment)}
    loan_of |= {id: row.loan_id for id, row in ours.credited.items()}
    shares = 0
    dates = world.dates[taken.half :]
    for on in dates[::-1] if newest_first else dates:
        ours.run(on)
        pipeline.run(on)
        said = pipeline.said(on)
        found = differences(expected(ours, on, loan_of), said)
        assert not found, "\n".join([f"seed {taken.story.seed} on {on}", *found[:40]])
        shares += sum(said["shares"].values())
        if whole is not None:
            whole.run(on)
            wanted = taking_over.as_one_history(expected(whole, on, loan_of), former)
            found = differences(wanted, taking_over.as_one_history(said, former))
            assert not found, "\n".join([f"seed {taken.story.seed} on {on}, in one history", *found[:40]])
    assert pipeline.balances() == ours.balances()
    if whole is not None:
        assert taking_over.stand(pipeline.balances()) == taking_over.stand(whole.balances())
    with pipeline.services() as services:
        assert close.verify(services) == [], f"seed {taken.story.seed}"
    return shares


@pytest.mark.parametrize("seed", [0, 1])
def test_a_small_lender_taken_over_in_the_middle_goes_on_as_if_it_never_had_been(new_pipeline: Any, seed: int) -> None:
    taken = taking_over.seeded(worlds.story(seed, loans=6, days=4), half=2)
    assert plays_on(new_pipeline(taken.story), taken, whole=taken.former()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_a_lender_taken_over_in_the_middle_goes_on_as_if_it_never_had_been(new_pipeline: Any, seed: int) -> None:
    taken = taking_over.seeded(worlds.story(seed, loans=15, days=6), half=3)
    assert plays_on(new_pipeline(taken.story), taken, whole=taken.former()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 106))
def test_whatever_a_lender_leaves_is_settled_as_the_rules_say(new_pipeline: Any, seed: int) -> None:
    taken = taking_over.of(worlds.story(seed, loans=15, days=6), half=3)
    assert plays_on(new_pipeline(taken.story), taken, whole=None) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 206))
def test_dates_after_a_take_over_that_are_settled_newest_first_replay_from_what_was_taken_over(
    new_pipeline: Any, seed: int
) -> None:
    taken = taking_over.of(worlds.story(seed, loans=15, days=6), half=3)
    assert plays_on(new_pipeline(taken.story), taken, whole=None, newest_first=True) > 0
