"""Cash application: what pays what, in which order, and what is left over."""

from typing import Any

import pytest

from tests.domain.stories import KR, allocated, day, outcomes, rows, totals, under

BY_INSTALLMENT = under(KR, waterfall={"across": "installment"})
ADVANCE = under(KR, waterfall={"excess": "advance_principal"})

TWO_INSTALLMENTS = [
    ("I1", "L1", 1, "interest", "2026-01-16", 10, 0),
    ("P1", "L1", 1, "principal", "2026-01-16", 100, 0),
    ("C1", "L1", 1, "cost", "2026-01-20", 7, 0),
    ("I2", "L1", 2, "interest", "2026-02-16", 9, 0),
    ("P2", "L1", 2, "principal", "2026-02-16", 100, 0),
    ("LI", "L1", 1, "late_interest", "2026-02-16", 3, 0),
    ("P3", "L1", 3, "principal", "2026-03-16", 100, 0),
    ("P4", "L1", 4, "principal", "2026-04-16", 100, 0),
]


def _repayment(amount: int, name: str = "R1", at: str = "2026-02-16T02:00:00Z") -> tuple[object, ...]:
    return (name, "L1", at, amount, None, "new")


def test_across_components_all_costs_come_first_then_late_interest_interest_and_principal() -> None:
    outcome = day(receivables=TWO_INSTALLMENTS, repayments=[_repayment(150)])
    assert allocated(outcome) == [
        ("R1", "C1", 7),
        ("R1", "LI", 3),
        ("R1", "I1", 10),
        ("R1", "I2", 9),
        ("R1", "P1", 100),
        ("R1", "P2", 21),
    ]


def test_across_installments_the_oldest_due_date_is_paid_whole_first() -> None:
    outcome = day(BY_INSTALLMENT, receivables=TWO_INSTALLMENTS, repayments=[_repayment(150)])
    # Due 16 January (I1, P1), 20 January (C1), then 16 February: instalment 1 (LI) before instalment 2 (I2, P2).
    assert allocated(outcome) == [
        ("R1", "I1", 10),
        ("R1", "P1", 100),
        ("R1", "C1", 7),
        ("R1", "LI", 3),
        ("R1", "I2", 9),
        ("R1", "P2", 21),
    ]


def test_ties_of_due_date_and_installment_go_to_the_lowest_receivable() -> None:
    same = [(name, "L1", 1, "interest", "2026-02-16", 10, 0) for name in ("b", "a", "B")]
    assert allocated(day(receivables=same, repayments=[_repayment(25)])) == [
        ("R1", "B", 10),
        ("R1", "a", 10),
        ("R1", "b", 5),
    ]


def test_only_the_open_part_of_a_receivable_is_due() -> None:
    partly = [("I1", "L1", 1, "interest", "2026-02-16", 10, 10), ("P1", "L1", 1, "principal", "2026-02-16", 100, 60)]
    outcome = day(receivables=partly, repayments=[_repayment(50)])
    assert allocated(outcome) == [("R1", "P1", 40)]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [("R1", 10, "held")]


def test_what_is_left_over_is_held_although_principal_falls_due_later() -> None:
    outcome = day(receivables=TWO_INSTALLMENTS, repayments=[_repayment(500)])
    assert sum(amount for _, _, amount in allocated(outcome)) == 229
    assert rows(outcome.credits, "loan_id", "repayment_id", "amount", "event") == [("L1", "R1", 271, "held")]
    assert len(outcome.breaks) == 0


def test_what_is_left_over_pays_principal_not_yet_due_when_the_policy_says_so_and_only_the_rest_is_held() -> None:
    outcome = day(ADVANCE, receivables=TWO_INSTALLMENTS, repayments=[_repayment(500)])
    assert allocated(outcome)[-2:] == [("R1", "P3", 100), ("R1", "P4", 100)]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [("R1", 71, "held")]
    assert rows(outcome.breaks, "cause", "subject_id", "amount") == [("overpaid", "L1", 71)]


def test_interest_not_yet_due_is_never_paid_in_advance() -> None:
    future = [("I1", "L1", 1, "interest", "2026-03-16", 10, 0), ("P1", "L1", 1, "principal", "2026-03-16", 10, 0)]
    assert allocated(day(ADVANCE, receivables=future, repayments=[_repayment(15)])) == [("R1", "P1", 10)]


def test_everything_not_yet_due_is_paid_in_advance_by_instalment_when_the_policy_says_so() -> None:
    advance = under(KR, waterfall={"excess": "advance"})
    future = [
        ("P1", "L1", 1, "principal", "2026-03-16", 10, 0),
        ("I1", "L1", 1, "interest", "2026-03-16", 10, 0),
        ("C2", "L1", 2, "cost", "2026-04-16", 10, 0),
    ]
    outcome = day(advance, receivables=future, repayments=[_repayment(25)])
    assert allocated(outcome) == [("R1", "I1", 10), ("R1", "P1", 10), ("R1", "C2", 5)]
    assert len(outcome.credits) == 0


def test_a_cost_goes_to_the_platform_and_to_no_note() -> None:
    outcome = day(receivables=[("C1", "L1", 1, "cost", "2026-02-16", 50, 0)], repayments=[_repayment(50)])
    assert len(outcome.shares) == 0
    assert totals(outcome) == {"repayment_count": 1, "received": 50, "cost": 50}


def test_held_credits_pay_before_the_days_repayments_in_the_order_in_which_they_came_to_be_held() -> None:
    outcome = day(
        receivables=[("P1", "L1", 1, "principal", "2026-02-16", 100, 0)],
        repayments=[_repayment(70)],
        credits=[
            ("L1", "R8", "2026-02-03T02:00:00Z", 30, 8),
            ("L1", "R9", "2026-02-02T02:00:00Z", 20, 7),
        ],
    )
    assert allocated(outcome) == [("R9", "P1", 20), ("R8", "P1", 30), ("R1", "P1", 50)]
    assert rows(outcome.credits, "repayment_id", "amount", "event") == [
        ("R9", -20, "applied"),
        ("R8", -30, "applied"),
        ("R1", 20, "held"),
    ]
    assert rows(outcome.entries, "event", "repayment_id") == [
        ("credit_applied", "R9"),
        ("credit_applied", "R8"),
        ("repayment_extracted", "R1"),
        ("repayment_distributed", "R1"),
    ]
    assert outcomes(outcome) == {"R1": "settled"}
    assert totals(outcome) == {"repayment_count": 1, "received": 70, "distributed": 100, "credit": -30}


def test_a_held_credit_that_nothing_is_due_for_stays_as_it_is() -> None:
    outcome = day(
        receivables=[("P1", "L1", 1, "principal", "2026-03-16", 100, 0)],
        repayments=[],
        credits=[("L1", "R8", "2026-02-03T02:00:00Z", 30, 8)],
    )
    assert [len(getattr(outcome, name)) for name in ("allocations", "credits", "entries", "breaks")] == [0, 0, 0, 0]
    assert totals(outcome) == {}


def test_a_credit_pays_in_advance_too_when_the_policy_says_so() -> None:
    outcome = day(
        ADVANCE,
        receivables=[("P1", "L1", 1, "principal", "2026-03-16", 20, 0)],
        repayments=[],
        credits=[("L1", "R8", "2026-02-03T02:00:00Z", 30, 8)],
    )
    assert allocated(outcome) == [("R8", "P1", 20)]


@pytest.mark.parametrize("order", [("R1", "R2"), ("R2", "R1")])
def test_repayments_of_one_instant_are_taken_in_order_of_their_ids(order: tuple[str, str]) -> None:
    outcome = day(
        receivables=[("P1", "L1", 1, "principal", "2026-02-16", 100, 0)],
        repayments=[_repayment(60, name) for name in order],
    )
    assert allocated(outcome) == [("R1", "P1", 60), ("R2", "P1", 40)]


def test_a_late_arrival_is_taken_before_the_days_own_money() -> None:
    outcome = day(
        receivables=[("P1", "L1", 1, "principal", "2026-02-16", 100, 0)],
        repayments=[_repayment(60, "R1"), _repayment(60, "R2", "2026-02-12T02:00:00Z")],
    )
    assert allocated(outcome) == [("R2", "P1", 60), ("R1", "P1", 40)]


def test_a_receivable_lowered_below_what_it_was_paid_is_not_due() -> None:
    lowered = [("I1", "L1", 1, "interest", "2026-02-16", 10, 25), ("P1", "L1", 1, "principal", "2026-02-16", 100, 0)]
    outcome = day(receivables=lowered, repayments=[_repayment(110)])
    assert allocated(outcome) == [("R1", "P1", 100)]
    assert rows(outcome.breaks, "cause", "amount") == [("overpaid", 10)]


def test_a_note_lowered_below_what_it_was_paid_lessens_what_the_loan_has_outstanding() -> None:
    lowered: dict[str, Any] = {
        "notes": [("N1", "L1", 50, -20), ("N2", "L1", 100, 100)],
        "holdings": [("N1", "A", "2026-01-15", None), ("N2", "B", "2026-01-15", None)],
        "receivables": [TWO_INSTALLMENTS[1]],
    }
    assert outcomes(day(**lowered, repayments=[_repayment(80)])) == {"R1": "settled"}
    assert outcomes(day(**lowered, repayments=[_repayment(81)])) == {"R1": "quarantined"}
