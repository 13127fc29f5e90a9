"""Held credit that goes back to the borrower (rules, section 2), by hand; the worked loan has 5000 of R1 left."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pandas as pd
import pytest
from settlement.domain import frames

from ..stories import INTEREST, LOAN, PRINCIPAL, REPAYMENT, day, history, journal, rows, totals

LATER = date(2026, 2, 19)
R0 = ("L1", "R0", "2026-02-01T11:00:00+09:00", 700, 1)
R1 = ("L1", "R1", "2026-02-16T11:00:00+09:00", 5_000, 2)


def refund(refund_id: str = "F1", amount: int = 5_000, **changes: Any) -> dict[str, Any]:
    said = {"loan_id": "L1", "currency": "KRW", "requested_at": "2026-02-16T12:00:00+09:00", "state": "new"}
    return {"refund_id": refund_id, "amount": amount} | said | changes


def later(*refunds: dict[str, Any], **changes: Any) -> frames.Outcome:
    """Return the outcome of a day on which nothing but credits and refunds is there."""
    paid = [(*INTEREST[:-1], 10_000), (*PRINCIPAL[:-1], 80_000)]
    given: dict[str, Any] = {"repayments": (), "receivables": paid, "credits": [R1], "refunds": refunds}
    return day(on=LATER, **(given | changes))


def taken(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    return rows(outcome.refunds)


def refused(outcome: frames.Outcome) -> dict[str, int]:
    """Return what was held when each refund was refused for the first time."""
    return {id: json.loads(said)["held"] for id, said in rows(outcome.refused_refunds, "refund_id", "evidence")}


def ordered(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    return [leg[1:] for leg in journal(outcome) if leg[0] == "refund_ordered"]


def changes(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    return rows(outcome.credits, "repayment_id", "amount", "event")


def breaks(outcome: frames.Outcome) -> list[tuple[Any, ...]]:
    return rows(outcome.breaks, "cause", "subject_kind", "subject_id", "currency", "amount")


def test_a_refund_takes_the_oldest_credits_first() -> None:
    outcome = later(refund(amount=5_100), credits=[R1, R0])
    assert taken(outcome) == [("F1", "L1", "KRW", 5_100)]
    assert ordered(outcome) == [
        ("R0", "borrower_credit:L1", 700),
        ("R0", "borrower_payable:F1", -700),
        ("R1", "borrower_credit:L1", 4_400),
        ("R1", "borrower_payable:F1", -4_400),
    ]
    assert changes(outcome) == [("R0", -700, "refunded"), ("R1", -4_400, "refunded")]
    assert totals(outcome) == {"credit": -5_100, "refunded": 5_100}
    assert breaks(outcome) == [("overpaid", "loan", "L1", "KRW", 600)]


def test_refunds_are_taken_in_order_and_one_that_is_too_large_lets_the_next_one_pass() -> None:
    outcome = later(
        refund("F3", 3_000, requested_at="2026-02-16T12:00:02+09:00"),
        refund("F2", 4_000, requested_at="2026-02-16T12:00:01+09:00"),
        refund("F1", 2_000, requested_at="2026-02-16T12:00:00+09:00"),
        refund("F0", 1, requested_at="2026-02-16T12:00:02+09:00"),
    )
    assert [row[0] for row in taken(outcome)] == ["F1", "F0"]
    assert refused(outcome) == {"F2": 3_000, "F3": 2_999}
    assert changes(outcome) == [("R1", -2_001, "refunded")]
    assert breaks(outcome) == [
        ("overpaid", "loan", "L1", "KRW", 2_999),
        ("refund_exceeds_credit", "refund", "F2", "KRW", 4_000),
        ("refund_exceeds_credit", "refund", "F3", "KRW", 3_000),
    ]


def test_what_is_due_takes_the_credit_before_any_refund() -> None:
    due = ("I2", "L1", 2, "interest", "2026-02-19", 4_999, 0)
    outcome = later(refund("F1", 2), refund("F2", 1), receivables=[(*INTEREST[:-1], 10_000), due])
    assert ([row[0] for row in taken(outcome)], refused(outcome)) == (["F2"], {"F1": 1})
    assert changes(outcome) == [("R1", -4_999, "applied"), ("R1", -1, "refunded")]
    assert breaks(outcome) == [("refund_exceeds_credit", "refund", "F1", "KRW", 2)]


def test_a_refund_takes_what_a_repayment_of_its_own_run_leaves() -> None:
    outcome = day(refunds=[refund(amount=4_000)])
    assert changes(outcome) == [("R1", 5_000, "held"), ("R1", -4_000, "refunded")]
    assert rows(outcome.repayments, "repayment_id", "held_amount") == [("R1", 1_000)]
    assert (totals(outcome)["credit"], totals(outcome)["refunded"]) == (1_000, 4_000)


@pytest.mark.parametrize(
    ("asked", "held", "held_in"),
    [
        (refund(amount=5_001), 5_000, "KRW"),
        (refund(amount=1, currency="EUR"), 5_000, "KRW"),
        (refund(amount=1, loan_id="L9"), 0, None),
    ],
)
def test_a_refund_of_more_than_is_held_or_in_another_currency_is_refused_by_itself(
    asked: dict[str, Any], held: int, held_in: str | None
) -> None:
    outcome = later(asked)
    assert (len(outcome.refunds), len(outcome.quarantine), changes(outcome), totals(outcome)) == (0, 0, [], {})
    ((loan_id, currency, amount, rule, evidence),) = rows(
        outcome.refused_refunds, "loan_id", "currency", "amount", "rule", "evidence"
    )
    assert (loan_id, currency, amount, rule) == (
        asked["loan_id"],
        asked["currency"],
        asked["amount"],
        "refund_exceeds_credit",
    )
    assert (json.loads(evidence)["held"], json.loads(evidence)["held_in"]) == (held, held_in)


def test_a_refund_that_was_refused_before_gets_no_second_row_and_its_break_stays() -> None:
    outcome = later(refund(amount=5_001, state="refused"))
    assert len(outcome.refused_refunds) == 0
    assert breaks(outcome)[1:] == [("refund_exceeds_credit", "refund", "F1", "KRW", 5_001)]


def test_a_refund_on_a_refused_loan_waits_without_a_row_and_one_that_was_refused_before_stays_so() -> None:
    unknown = ("X1", "L1", 9, "penalty", "2026-06-01", 1, 0)
    outcome = later(refund("F1", 5), refund("F2", 6, state="refused"), receivables=[unknown])
    assert (len(outcome.refunds), len(outcome.refused_refunds), changes(outcome)) == (0, 0, [])
    assert breaks(outcome) == [("refund_exceeds_credit", "refund", "F2", "KRW", 6)]


def test_a_loan_without_money_in_the_run_is_not_checked_and_its_refund_is_refused() -> None:
    unknown = ("X1", "L1", 9, "penalty", "2026-06-01", 1, 0)
    assert refused(later(refund(amount=5), receivables=[unknown], credits=())) == {"F1": 0}


def test_a_reversal_undoes_the_part_of_a_refund_that_its_original_paid() -> None:
    first = day(refunds=[refund(amount=4_000)])
    reversal = ("X1", "L1", "2026-02-19T11:00:00+09:00", 95_000, "R1", "new")
    outcome = later(
        repayments=[reversal],
        credits=[("L1", "R1", "2026-02-16T11:00:00+09:00", 1_000, 1), (*R0[:4], 2)],
        originals=[("R1", "L1", 95_000, False, False, "settled")],
        **history(first),
    )
    undone = [leg for leg in journal(outcome) if leg[2].startswith("borrower")]
    assert undone == [
        ("repayment_reversed", "X1", "borrower_credit:L1", 5_000),
        ("repayment_reversed", "X1", "borrower_credit:L1", -4_000),
        ("repayment_reversed", "X1", "borrower_payable:F1", 4_000),
    ]
    assert changes(outcome) == [("R1", -1_000, "taken_back")]
    assert totals(outcome) == {
        "repayment_count": 1,
        "received": -95_000,
        "distributed": -88_050,
        "fee": -800,
        "vat": -80,
        "national_tax": -980,
        "local_tax": -90,
        "credit": -1_000,
        "refunded": -4_000,
    }


def test_a_reversal_in_the_same_run_leaves_nothing_to_refund() -> None:
    reversal = ("X1", "L1", "2026-02-16T11:30:00+09:00", 95_000, "R1", "new")
    outcome = day(
        repayments=[REPAYMENT, reversal],
        originals=[("R1", "L1", 95_000, False, False, "unsettled")],
        refunds=[refund()],
    )
    assert refused(outcome) == {"F1": 0}


def test_a_repayment_beside_a_refund_is_settled_as_without_it() -> None:
    with_it, without = day(refunds=[refund(amount=1)]), day()
    for name in ("allocations", "shares"):
        pd.testing.assert_frame_equal(getattr(with_it, name), getattr(without, name))


def test_refunds_of_loans_that_do_not_exist_are_refused_last() -> None:
    outcome = day(
        loans=[LOAN], refunds=[refund("F1", 1, loan_id="L8"), refund("F2", 1, loan_id="L9"), refund("F3", 9_000)]
    )
    assert refused(outcome) == {"F1": 0, "F2": 0, "F3": 5_000}
    assert [row[2] for row in breaks(outcome)] == ["L1", "F3", "F1", "F2"]
