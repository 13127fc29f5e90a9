"""What follows from what is known of a payout: its state, and how many of its lines are matched with it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from settlement.domain import frames
from settlement.domain.payments import evidence
from settlement.domain.payments.state import PayoutState

SENT = pd.Timestamp("2026-02-16T21:00:00Z")


def known(**said: Any) -> pd.DataFrame:
    """What is known of one payout that the bank has: nothing but what is said."""
    row: dict[str, Any] = {
        "payout_id": "P",
        "payee_kind": "investor",
        "payee_id": "A",
        "settlement_date": pd.Timestamp("2026-02-16"),
        "currency": "KRW",
        "amount": 100,
        "state": "accepted",
        "submitted_at": SENT,
        "debits": 0,
        "credits": 0,
        "explained_debits": 0,
        "explained_credits": 0,
        "matched_debits": 0,
        "matched_credits": 0,
        "is_return_announced": False,
        "is_unpaid": False,
    }
    return frames.build(frames.EVIDENCE, [{**dict.fromkeys(frames.EVIDENCE.column_names), **row, **said}])


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({}, "accepted"),
        ({"debits": 1}, "booked"),
        ({"debits": 2}, "booked"),
        ({"debits": 1, "credits": 1}, "returned"),
        ({"debits": 2, "credits": 1}, "booked"),
        ({"credits": 1}, "accepted"),
        ({"is_unpaid": True}, "rejected"),
        ({"is_unpaid": True, "credits": 1}, "rejected"),
        ({"is_unpaid": True, "debits": 1}, "booked"),
        ({"is_return_announced": True}, "returned"),
        ({"is_return_announced": True, "debits": 2}, "returned"),
        ({"is_return_announced": True, "is_unpaid": True}, "returned"),
        ({"state": "approved", "submitted_at": None, "debits": 1}, "approved"),
        ({"state": "approved", "submitted_at": None, "is_unpaid": True, "debits": 1}, "rejected"),
    ],
)
def test_the_state_follows_from_the_facts(said: dict[str, Any], state: str) -> None:
    assert evidence.states(known(**said)).tolist() == [state]


FACTS = st.fixed_dictionaries(
    {
        "debits": st.integers(0, 5),
        "credits": st.integers(0, 5),
        "is_return_announced": st.booleans(),
        "is_unpaid": st.booleans(),
    }
)


@given(FACTS, st.sampled_from(["debits", "credits", "is_return_announced", "is_unpaid"]))
def test_one_fact_more_never_unmatches_a_line(facts: dict[str, Any], more: str) -> None:
    before, after = known(**facts), known(**facts | {more: True if more.startswith("is_") else facts[more] + 1})
    (matched,), (then,) = (evidence.movements(one).to_dict("records") for one in (before, after))
    assert then["leaving"] >= matched["leaving"] and then["back"] >= matched["back"]


@given(FACTS)
def test_what_is_matched_leaves_in_transit_what_the_state_says(facts: dict[str, Any]) -> None:
    of_facts = known(**facts)
    ((leaving, back),) = evidence.movements(of_facts).itertuples(index=False)
    (state,) = map(PayoutState, evidence.states(of_facts).tolist())
    assert 0 <= leaving <= facts["debits"] and 0 <= back <= facts["credits"]
    if state is PayoutState.BOOKED:
        assert leaving - back == 1
    elif state is PayoutState.RETURNED:
        assert leaving - back == max(0, facts["debits"] - facts["credits"])
    else:
        assert (leaving, back) == (0, 0)


def test_a_line_is_a_debit_with_its_fee_and_a_credit_less_its_fee() -> None:
    assert [evidence.is_debit(line, 100) for line in (-101, -100, -99, 100)] == [True, True, False, False]
    assert [evidence.is_credit(line, 100, is_return=False) for line in (101, 100, 51, 50, -100)] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert evidence.is_credit(1, 100, is_return=True)
