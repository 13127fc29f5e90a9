"""A past that the source corrects, under policies that change: after every run the books say what the rules say."""

from __future__ import annotations

from typing import Any

from tests.stages.any_order import a_history, play
from tests.stages.test_random_worlds import new_pipeline  # noqa: F401 - a fixture


def test_a_past_that_is_corrected_says_what_the_rules_say(new_pipeline: Any) -> None:  # noqa: F811
    history = a_history(3, loans=80, notes=30, days=3, again=2)
    assert play(new_pipeline(history.story), history) > 5_000
