"""Cutting amounts: floors are floors, exactly, for every int64 amount."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from settlement.domain import money
from settlement.domain.computation import segments


@given(amount=st.integers(0, 2**63 - 1), rate_ppm=st.integers(0, 1_000_000))
def test_a_rate_is_floored_exactly_however_large_the_amount(amount: int, rate_ppm: int) -> None:
    assert money.floor_ppm(np.array([amount]), rate_ppm).tolist() == [amount * rate_ppm // 1_000_000]


def test_a_tax_is_truncated_to_its_unit() -> None:
    assert money.truncate(np.array([0, 9, 10, 19, 700]), 10).tolist() == [0, 0, 10, 10, 700]


def test_an_empty_run_sums_to_nothing() -> None:
    assert segments.sums(np.array([1, 2, 3]), np.array([0, 0, 2, 2, 3, 3])).tolist() == [0, 3, 0, 3, 0]


def test_sums_past_the_precision_of_a_float_are_exact() -> None:
    assert segments.sums(np.array([2**53, 1]), np.array([0, 2])).tolist() == [2**53 + 1]
