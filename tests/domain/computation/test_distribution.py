"""Sharing an allocation among notes: proportions, odd units, positions and record dates."""

from datetime import date

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from settlement.domain.computation import distribution

from tests.domain.stories import KR, LOAN, day, gross, rows, under

AMOUNTS = st.one_of(st.integers(0, 1_000), st.integers(0, 2**50 + 2), st.integers(0, 2**60))
WEIGHTS = st.lists(
    st.one_of(st.integers(0, 5), st.integers(0, 10**12), st.integers(2**52, 2**58)), min_size=1, max_size=9
)


def _by_hand(amount: int, weights: list[int]) -> list[int]:
    total = sum(weights)
    shares = [amount * weight // total for weight in weights]
    remainders = [amount * weight % total for weight in weights]
    for _ in range(amount - sum(shares)):
        winner = remainders.index(max(remainders))
        shares[winner], remainders[winner] = shares[winner] + 1, -1
    return shares


@given(st.lists(st.tuples(AMOUNTS, WEIGHTS.filter(any)), min_size=1, max_size=6))
@example([(2**50, [2**52 - 1, 1]), (2**50 + 1, [1, 1, 1])])
@example([(5, [1, 1, 1]), (2**50, [2**44] * 8)])
def test_runs_are_shared_exactly_whatever_stands_beside_them(runs: list[tuple[int, list[int]]]) -> None:
    start = np.append(0, np.cumsum([len(weights) for _, weights in runs]))
    shares = distribution.prorate(
        np.array([amount for amount, _ in runs]), np.array([w for _, weights in runs for w in weights]), start
    )
    assert shares.tolist() == [share for amount, weights in runs for share in _by_hand(amount, weights)]


def test_remainders_too_wide_to_pack_are_ordered_by_their_columns() -> None:
    weights = [3 * 10**14 + offset for offset in (5, 1, 3, 1)]
    runs = 700
    shares = distribution.prorate(
        np.full(runs, 1_000_003), np.array(weights * runs), np.arange(0, 4 * runs + 1, 4)
    ).reshape(runs, 4)
    assert (shares == _by_hand(1_000_003, weights)).all()


def test_weights_that_sum_to_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="sums to 0"):
        distribution.prorate(np.array([1]), np.array([0, 0]), np.array([0, 2]))


def test_the_odd_won_goes_to_the_largest_remainder_and_a_tie_to_the_lowest_note() -> None:
    outcome = day(
        notes=[("N3", "L1", 100, 100), ("N1", "L1", 100, 100), ("N2", "L1", 100, 100)],
        receivables=[("P1", "L1", 1, "principal", "2026-02-16", 100, 0)],
        repayments=[("R1", "L1", "2026-02-16T02:00:00Z", 100, None, "new")],
    )
    assert gross(outcome) == [("R1", "P1", "N1", "A", 34), ("R1", "P1", "N2", "B", 33), ("R1", "P1", "N3", "C", 33)]


def test_each_principal_receivable_sees_the_positions_that_the_former_left_and_no_note_is_overpaid() -> None:
    # 1 : 1 twice over 3 in all: the first unit goes to N1 (tie), the second to N2 whose position is the larger now.
    outcome = day(
        notes=[("N1", "L1", 1, 1), ("N2", "L1", 1, 1)],
        holdings=[("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None)],
        receivables=[
            ("P1", "L1", 1, "principal", "2026-01-16", 1, 0),
            ("P2", "L1", 2, "principal", "2026-02-16", 1, 0),
        ],
        repayments=[("R1", "L1", "2026-02-16T02:00:00Z", 2, None, "new")],
    )
    assert gross(outcome) == [("R1", "P1", "N1", "A", 1), ("R1", "P2", "N2", "B", 1)]


def test_interest_after_principal_in_one_repayment_keeps_the_positions_before_it() -> None:
    # N1 pays off with P1, yet I2, taken by the same repayment, is still shared 1 : 3.
    by_installment = under(
        KR, waterfall={"across": "installment", "order": ["principal", "interest", "late_interest", "cost"]}
    )
    outcome = day(
        by_installment,
        notes=[("N1", "L1", 100, 100), ("N2", "L1", 300, 300)],
        holdings=[("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None)],
        receivables=[
            ("P1", "L1", 1, "principal", "2026-01-16", 400, 0),
            ("I2", "L1", 2, "interest", "2026-02-16", 40, 0),
        ],
        repayments=[("R1", "L1", "2026-02-16T02:00:00Z", 440, None, "new")],
    )
    assert gross(outcome) == [
        ("R1", "P1", "N1", "A", 100),
        ("R1", "P1", "N2", "B", 300),
        ("R1", "I2", "N1", "A", 10),
        ("R1", "I2", "N2", "B", 30),
    ]


def test_the_second_repayment_of_a_day_sees_the_positions_that_the_first_left() -> None:
    # R1 pays 50 of principal on 100 : 300, shared 13 : 37 (12.5 ties with 37.5, the lowest note wins) → 87 : 263.
    # R2's interest of 350 is then shared 87 : 263.
    outcome = day(
        notes=[("N1", "L1", 100, 100), ("N2", "L1", 300, 300)],
        holdings=[("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None)],
        receivables=[
            ("P1", "L1", 1, "principal", "2026-02-16", 50, 0),
            ("I1", "L1", 1, "interest", "2026-02-16", 350, 0),
        ],
        repayments=[
            ("R2", "L1", "2026-02-16T03:00:00Z", 350, None, "new"),
            ("R1", "L1", "2026-02-16T02:00:00Z", 50, None, "new"),
        ],
        rules=under(KR, waterfall={"order": ["principal", "interest", "late_interest", "cost"]}),
    )
    assert gross(outcome) == [
        ("R1", "P1", "N1", "A", 13),
        ("R1", "P1", "N2", "B", 37),
        ("R2", "I1", "N1", "A", 87),
        ("R2", "I1", "N2", "B", 263),
    ]


def test_a_loan_without_outstanding_principal_shares_by_its_original_principal() -> None:
    outcome = day(
        notes=[("N1", "L1", 100, 0), ("N2", "L1", 300, 0)],
        holdings=[("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None)],
        receivables=[("LI", "L1", 9, "late_interest", "2026-02-16", 40, 0)],
        repayments=[("R1", "L1", "2026-02-16T02:00:00Z", 40, None, "new")],
    )
    assert gross(outcome) == [("R1", "LI", "N1", "A", 10), ("R1", "LI", "N2", "B", 30)]


def _sold_on(day_of_sale: str, *, received_at: str, due_on: str, settled_on: date = date(2026, 2, 16)) -> str:
    outcome = day(
        on=settled_on,
        notes=[("N1", "L1", 100, 100)],
        holdings=[("N1", "A", "2026-01-15", day_of_sale), ("N1", "B", day_of_sale, None)],
        receivables=[("P1", "L1", 1, "principal", due_on, 10, 0)],
        repayments=[("R1", "L1", received_at, 10, None, "new")],
        rules=under(KR, waterfall={"excess": "advance_principal"}),
    )
    ((_, _, _, investor, amount),) = gross(outcome)
    assert amount == 10
    return str(investor)


def test_money_received_after_the_due_date_goes_to_who_held_the_note_when_it_came() -> None:
    assert _sold_on("2026-02-16", received_at="2026-02-15T23:00:00+09:00", due_on="2026-01-20") == "A"
    assert _sold_on("2026-02-16", received_at="2026-02-16T00:00:00+09:00", due_on="2026-01-20") == "B"


def test_money_received_before_the_due_date_goes_to_who_held_the_note_when_it_fell_due() -> None:
    assert _sold_on("2026-02-15", received_at="2026-02-13T12:00:00+09:00", due_on="2026-02-14") == "A"
    assert _sold_on("2026-02-15", received_at="2026-02-13T12:00:00+09:00", due_on="2026-02-15") == "B"


def test_principal_paid_before_it_is_due_goes_to_who_held_the_note_when_the_money_came() -> None:
    assert _sold_on("2026-02-17", received_at="2026-02-16T12:00:00+09:00", due_on="2026-03-16") == "A"


def test_a_held_credit_keeps_the_record_date_of_its_own_repayment() -> None:
    # Received on the 10th, still held; the receivable fell due on the 5th, so A, who sold on the 12th, gets it.
    outcome = day(
        notes=[("N1", "L1", 100, 100)],
        holdings=[("N1", "A", "2026-01-15", "2026-02-12"), ("N1", "B", "2026-02-12", None)],
        receivables=[("P1", "L1", 1, "principal", "2026-02-05", 10, 0)],
        repayments=[],
        credits=[("L1", "R0", "2026-02-10T12:00:00+09:00", 10, 0)],
    )
    assert gross(outcome) == [("R0", "P1", "N1", "A", 10)]


def test_two_currencies_in_a_day_never_mix() -> None:
    euro = {"EUR": {"unit": 1, "rules": ({"tax_class": "individual", "rate_ppm": 0},)}}
    outcome = day(
        under(KR, withholding=euro),
        loans=[LOAN, ("L2", "EUR", "2026-01-15")],
        notes=[("N1", "L1", 100, 100), ("N2", "L2", 100, 100)],
        holdings=[("N1", "A", "2026-01-15", None), ("N2", "A", "2026-01-15", None)],
        receivables=[
            ("P1", "L1", 1, "principal", "2026-02-16", 10, 0),
            ("I2", "L2", 1, "interest", "2026-02-16", 70, 0),
        ],
        repayments=[
            ("R1", "L1", "2026-02-16T02:00:00Z", 10, None, "new"),
            ("R2", "L2", "2026-02-16T02:00:00Z", 70, None, "new"),
        ],
    )
    said = rows(outcome.totals, "currency", "repayment_count", "received_amount", "distributed_amount", "fee_amount")
    assert sorted(said) == [("EUR", 1, 70, 65, 5), ("KRW", 1, 10, 10, 0)]
