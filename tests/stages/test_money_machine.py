"""People's money, whatever happens to it and in any order: the same few stories each time; `tests/slow` has others."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from .money_machine import Houses, MoneyMachine, houses  # noqa: F401 - a fixture

FEW = settings(max_examples=3, stateful_step_count=8, derandomize=True, database=None)


def test_whatever_happens_to_money_the_books_say_what_the_rules_and_the_bank_say(houses: Houses) -> None:  # noqa: F811
    run_state_machine_as_test(type("Machine", (MoneyMachine,), {"houses": houses}), settings=FEW)
