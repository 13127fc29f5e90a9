"""No order of up to six facts about a payout leaves other balances, and no set of them is without a way out.

12 minutes on 2 cores: three alphabets of six facts, 1956 orders each, and how people end each of their 63 sets.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.stages.every_order import every_order
from tests.stages.spoken_bank import Spoken, spoken
from tests.stages.test_evidence import worked_day

__all__ = ["spoken"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    "alphabet",
    [
        ("debit", "second debit", "credit", "second credit", "return announced", "rejected"),
        ("debit with a fee", "debit", "credit less a fee", "credit", "accepted", "return announced"),
        ("debit", "second debit", "debit with a fee", "second credit", "rejected", "accepted"),
    ],
    ids=["doubled and returned", "fees", "doubled and rejected"],
)
def test_every_order_of_six_facts_comes_to_the_same_and_has_a_way_out(spoken: Spoken, alphabet: Sequence[str]) -> None:
    worked_day(spoken)
    tree, ways = every_order(spoken, most=6, alphabet=alphabet)
    assert (len(tree.outcomes), len(ways)) == (63, 63)
    assert tree.told >= 1956
