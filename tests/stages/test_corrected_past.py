"""A past that the source corrects, under policies that change: after every run the books say what the rules say.

Between the runs investors and borrowers are paid, and people and the source do what they do: see `any_order`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.stages.any_order import a_history, kinds, paying_pipeline, play
from tests.stages.test_random_worlds import new_pipeline

__all__ = ["new_pipeline", "paying_pipeline"]

CHANGES = {
    "a changed holding",
    "a changed investor",
    "a changed loan",
    "a changed note",
    "a changed policy",
    "a changed receivable",
    "a late refund",
    "a late repayment",
    "a late reversal",
    "EUR",
    "KRW",
}


def test_a_past_that_is_corrected_says_what_the_rules_say(paying_pipeline: Any) -> None:
    history = a_history(7, loans=40, notes=20, days=3, again=2)
    shares, met = play(paying_pipeline(history.story), history)
    assert shares > 5_000
    assert kinds(history) >= CHANGES
    assert met.keys() >= {"payouts", "paid money is taken back", "a settled repayment changes"}


@pytest.mark.slow  # a minute
def test_what_people_and_the_source_do_between_runs_comes_to_what_the_rules_say(paying_pipeline: Any) -> None:
    history = a_history(3, loans=20, days=3, again=2)
    _, met = play(paying_pipeline(history.story), history)
    assert min(
        met[name]
        for name in (
            "payouts",
            "paid money is taken back",
            "a refund is returned",
            "a settled repayment vanishes",
            "a changed source is told",
            "a loan changes its currency",
        )
    ), met
