"""People's money, whatever happens to it and in any order: other stories each time, and longer ones.

Not measured on a quiet machine. A story took about a minute on 2 cores that ten other jobs shared.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stages.money_machine import Houses, MoneyMachine, houses  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MANY = settings(max_examples=60, stateful_step_count=20)


def test_whatever_happens_to_money_the_books_say_what_the_rules_and_the_bank_say(houses: Houses) -> None:  # noqa: F811
    run_state_machine_as_test(type("Machine", (MoneyMachine,), {"houses": houses}), settings=MANY)
