"""No order of up to six facts about a payout leaves other balances, and no set of them is without a way out.

Three alphabets of six facts: every order of each, and how people end each of their sets. Measured at 10, 18 and 13
minutes on 2 cores that ten other jobs shared.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.stages.every_order import every_order
from tests.stages.spoken_bank import Spoken, spoken
from tests.stages.test_evidence import worked_day

__all__ = ["spoken"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    ("alphabet", "sets", "told"),
    [
        (("debit", "second debit", "credit", "second credit", "return announced", "rejected"), 47, 1010),
        (("debit with a fee", "debit", "credit less a fee", "credit", "accepted", "return announced"), 63, 1956),
        (("debit", "second debit", "debit with a fee", "second credit", "rejected", "accepted"), 47, 1010),
    ],
    ids=["doubled and returned", "fees", "doubled and rejected"],
)
def test_every_order_of_six_facts_comes_to_the_same_and_has_a_way_out(
    spoken: Spoken, alphabet: Sequence[str], sets: int, told: int
) -> None:
    worked_day(spoken)
    tree = every_order(spoken, most=6, alphabet=alphabet)
    assert (len(tree.outcomes), len(tree.ways), tree.told) == (sets, sets, told + sets)
