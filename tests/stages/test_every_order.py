"""No order of the same facts about a payout leaves other balances, and none is without a way out (up to two facts).

With every change each fact is told alone; every order of two is slow (two minutes), and of six is
`tests/slow/test_every_order_of_six.py`.
"""

from __future__ import annotations

import pytest

from .every_order import every_order
from .spoken_bank import Spoken, spoken
from .test_evidence import worked_day

__all__ = ["spoken"]


def test_every_fact_alone_has_a_way_out(spoken: Spoken) -> None:
    worked_day(spoken)
    tree = every_order(spoken, most=1)
    assert len(tree.outcomes) == len(tree.ways) == 8
    assert tree.ways[frozenset({"debit"})] == ()
    assert tree.ways[frozenset({"accepted"})] == ("missing_at_bank: absent",)


@pytest.mark.slow
def test_every_order_of_up_to_two_facts_comes_to_the_same_and_has_a_way_out(spoken: Spoken) -> None:
    worked_day(spoken)
    tree = every_order(spoken, most=2)
    assert len(tree.outcomes) == len(tree.ways) == 8 + 29
    state_of = {facts: found.state for facts, found in tree.outcomes.items()}
    assert state_of[frozenset({"debit", "credit"})] == "returned"
    assert state_of[frozenset({"debit", "rejected"})] == "booked"
    assert state_of[frozenset({"credit", "rejected"})] == "rejected"
    assert state_of[frozenset({"return announced", "debit with a fee"})] == "returned"
    assert tree.ways[frozenset({"debit"})] == ()
    assert tree.ways[frozenset({"return announced", "debit"})] == ("missing_at_bank: write_off",)
    assert tree.ways[frozenset({"accepted"})] == ("missing_at_bank: absent",)
    assert tree.ways[frozenset({"debit", "second debit"})] == ("duplicate_line: book",)
    assert tree.ways[frozenset({"debit", "rejected"})] == ("message_refused: answer",)
    assert tree.ways[frozenset({"debit", "credit less a fee"})] == ("amount_differs: match",)
