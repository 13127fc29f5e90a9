"""More pasts that the source corrects, each run held against the rules: larger worlds than in `tests/stages`, and many.

Not measured as a whole. A small world took about a minute on 2 cores that several other jobs shared.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.stages.any_order import a_history, play
from tests.stages.test_random_worlds import new_pipeline  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5])
def test_a_large_past_that_is_corrected_says_what_the_rules_say(new_pipeline: Any, seed: int) -> None:  # noqa: F811
    history = a_history(seed, loans=150, notes=60, days=5, again=4)
    assert play(new_pipeline(history.story), history) > 0


@pytest.mark.parametrize("seed", range(300, 340))
def test_a_past_that_is_corrected_says_what_the_rules_say(new_pipeline: Any, seed: int) -> None:  # noqa: F811
    history = a_history(seed, loans=50, days=5, again=4)
    assert play(new_pipeline(history.story), history) > 0
