"""Refusals: a loan that contradicts itself stays whole in quarantine, with one rule named and proven."""

import json
from datetime import date
from typing import Any

import pytest

from tests.domain.stories import (
    HOLDINGS,
    INTEREST,
    INVESTORS,
    KR,
    LOAN,
    NOTES,
    PRINCIPAL,
    REPAYMENT,
    allocated,
    day,
    journal,
    outcomes,
    rows,
    totals,
    under,
)

BOTH_CLASSES = ({"tax_class": "individual", "rate_ppm": 1}, {"tax_class": "individual", "rate_ppm": 2})

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "unknown_component": (
        {"receivables": [INTEREST, PRINCIPAL, ("X1", "L1", 9, "penalty", "2027-01-01", 1, 0)]},
        {"loan_id": "L1", "receivables": [{"receivable_id": "X1", "component": "penalty"}]},
    ),
    "unknown_currency": ({"loans": [("L1", "USD", "2026-01-15")]}, {"loan_id": "L1", "currency": "USD"}),
    "no_notes": ({"notes": [], "holdings": []}, {"loan_id": "L1"}),
    "amounts_too_large": (
        {"notes": [("N1", "L1", 2**62, 2**62), ("N2", "L1", 2**62, 2**62), ("N3", "L1", 1, 1)]},
        {"loan_id": "L1", "principal": 9_223_372_036_854_775_809},
    ),
    "principal_exceeds_outstanding": (
        {"notes": [("N1", "L1", 500_000, 50_000), ("N2", "L1", 300_000, 29_999), ("N3", "L1", 200_000, 0)]},
        {
            "loan_id": "L1",
            "repayment_id": "R1",
            "outstanding": 79_999,
            "allocated": [{"receivable_id": "P1", "amount": 80_000}],
        },
    ),
    "no_holder": (
        {"holdings": [HOLDINGS[0], ("N2", "B", "2026-01-15", "2026-02-16"), HOLDINGS[2]]},
        {
            "repayment_id": "R1",
            "receivable_id": "I1",
            "note_id": "N2",
            "gross_amount": 3_000,
            "record_date": "2026-02-16",
            "holdings": [{"investor_id": "B", "held_from": "2026-01-15", "held_until_exclusive": "2026-02-16"}],
        },
    ),
    "two_holders": (
        {"holdings": [*HOLDINGS, ("N2", "C", "2026-02-16", None), ("N2", "A", "2026-02-17", None)]},
        {
            "repayment_id": "R1",
            "receivable_id": "I1",
            "note_id": "N2",
            "gross_amount": 3_000,
            "record_date": "2026-02-16",
            "holdings": [
                {"investor_id": "B", "held_from": "2026-01-15", "held_until_exclusive": None},
                {"investor_id": "C", "held_from": "2026-02-16", "held_until_exclusive": None},
            ],
        },
    ),
    "unknown_investor": (
        {"investors": [INVESTORS[0], INVESTORS[2]]},
        {
            "repayment_id": "R1",
            "receivable_id": "I1",
            "note_id": "N2",
            "gross_amount": 3_000,
            "record_date": "2026-02-16",
            "investor_id": "B",
        },
    ),
    "no_tax_rule": (
        {"investors": [INVESTORS[0], ("B", "trust"), INVESTORS[2]]},
        {
            "repayment_id": "R1",
            "receivable_id": "I1",
            "note_id": "N2",
            "gross_amount": 3_000,
            "investor_id": "B",
            "tax_class": "trust",
            "currency": "KRW",
            "disbursed_on": "2026-01-15",
            "settlement_date": "2026-02-16",
            "rules": [],
        },
    ),
    "two_tax_rules": (
        {"rules": under(KR, withholding={"KRW": {"unit": 1, "rules": BOTH_CLASSES}})},
        {
            "repayment_id": "R1",
            "receivable_id": "I1",
            "note_id": "N1",
            "gross_amount": 5_000,
            "investor_id": "A",
            "tax_class": "individual",
            "currency": "KRW",
            "disbursed_on": "2026-01-15",
            "settlement_date": "2026-02-16",
            "rules": [
                {"tax_class": "individual", "rate_ppm": 1, "de_minimis": 0},
                {"tax_class": "individual", "rate_ppm": 2, "de_minimis": 0},
            ],
        },
    ),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_a_refused_loan_moves_no_money_and_names_its_rule_and_the_rows_that_prove_it(rule: str) -> None:
    world, evidence = REFUSED[rule]
    outcome = day(**world)
    currency = world.get("loans", [LOAN])[0][1]
    assert rows(outcome.quarantine.drop(columns="evidence")) == [("L1", "R1", currency, 95_000, rule)]
    assert json.loads(outcome.quarantine["evidence"].iloc[0]) == evidence
    assert journal(outcome) == [
        ("repayment_extracted", "R1", "receipts_in_transit", 95_000),
        ("repayment_extracted", "R1", "repayments_unallocated", -95_000),
    ]
    assert rows(outcome.breaks, "cause", "subject_kind", "subject_id", "currency", "amount") == [
        ("quarantined", "loan", "L1", currency, 95_000)
    ]
    assert totals(outcome) == {"repayment_count": 1, "received": 95_000, "quarantined": 95_000}
    assert [len(outcome.allocations), len(outcome.shares), len(outcome.credits)] == [0, 0, 0]


def test_a_platform_without_any_holder_or_investor_settles_nothing() -> None:
    assert day(holdings=[], investors=[]).quarantine["rule"].tolist() == ["no_holder"]


def test_the_rest_of_the_day_settles() -> None:
    outcome = day(
        loans=[LOAN, ("L0", "KRW", "2026-01-15"), ("L2", "KRW", "2026-01-15")],
        notes=[("M0", "L0", 100, 100), *NOTES, ("M2", "L2", 100, 100)],
        holdings=[("M0", "A", "2026-01-15", None), *HOLDINGS[1:], ("M2", "A", "2026-01-15", None)],
        receivables=[
            ("P0", "L0", 1, "principal", "2026-02-16", 10, 0),
            PRINCIPAL,
            ("P2", "L2", 1, "principal", "2026-02-16", 20, 0),
        ],
        repayments=[
            ("R0", "L0", "2026-02-16T02:00:00Z", 10, None, "new"),
            REPAYMENT,
            ("R2", "L2", "2026-02-16T02:00:00Z", 20, None, "new"),
        ],
    )
    assert outcomes(outcome) == {"R0": "settled", "R1": "quarantined", "R2": "settled"}
    assert allocated(outcome) == [("R0", "P0", 10), ("R2", "P2", 20)]
    assert rows(outcome.allocations, "allocation_no") == [(1,), (2,)]
    assert totals(outcome) == {
        "repayment_count": 3,
        "received": 95_030,
        "distributed": 30,
        "quarantined": 95_000,
    }


TWO_LOANS: dict[str, Any] = {
    "loans": [LOAN, ("L2", "KRW", "2026-01-15")],
    "notes": [*NOTES, ("M2", "L2", 100, 100)],
    "holdings": [*HOLDINGS, ("M2", "A", "2026-01-15", None)],
    "receivables": [INTEREST, PRINCIPAL, ("P2", "L2", 1, "principal", "2026-02-16", 20, 0)],
}
SMALL = ("R2", "L2", "2026-02-16T02:00:00Z", 20, None, "new")
GIANTS = [(f"G{n}", "L1", "2026-02-16T02:00:00Z", 2**63 - 1, None, "new") for n in (1, 2)]


def test_money_that_is_too_large_to_add_up_is_not_extracted_and_the_rest_of_the_day_settles() -> None:
    undone = ("U1", "L1", "2026-02-16T03:00:00Z", 2**63 - 1, "G1", "new")
    named = ("G1", "L1", 2**63 - 1, False, False, "unsettled")
    outcome = day(**TWO_LOANS, repayments=[*GIANTS, undone, SMALL], originals=[named])
    assert outcomes(outcome) == {"R2": "settled", "G1": "refused", "G2": "refused", "U1": "refused"}
    assert totals(outcome) == {"repayment_count": 1, "received": 20, "distributed": 20}
    assert rows(outcome.breaks, "cause", "subject_kind", "subject_id", "currency", "amount") == [
        ("quarantined", "repayment", "G1", "KRW", 9_223_372_036_854_775_807),
        ("quarantined", "repayment", "G2", "KRW", 9_223_372_036_854_775_807),
        ("quarantined", "repayment", "U1", "KRW", 9_223_372_036_854_775_807),
    ]
    assert json.loads(outcome.breaks["evidence"].iloc[0]) == {
        "rule": "amounts_too_large",
        "repayment_id": "G1",
        "loan_id": "L1",
        "received_at": "2026-02-16T02:00:00+00:00",
        "amount": 9_223_372_036_854_775_807,
        "proof": {"loan_id": "L1", "money": 18_446_744_073_709_551_614},
    }


def test_a_held_credit_and_a_repayment_kept_before_stay_where_they_are_beside_money_that_is_too_large() -> None:
    kept = ("K1", "L1", "2026-02-13T02:00:00Z", 500, None, "quarantined")
    credit = ("L1", "C1", "2026-02-12T02:00:00Z", 700, 1)
    outcome = day(**TWO_LOANS, repayments=[GIANTS[0], kept, SMALL], credits=[credit])
    assert outcomes(outcome) == {"K1": "quarantined", "R2": "settled", "G1": "refused"}
    assert rows(outcome.breaks, "cause", "subject_kind", "subject_id", "amount") == [
        ("quarantined", "loan", "L1", 500),
        ("quarantined", "repayment", "G1", 9_223_372_036_854_775_807),
    ]
    assert len(outcome.credits) == 0


def test_of_loans_that_do_not_fit_into_a_day_together_the_one_with_the_most_money_waits() -> None:
    large = ("R1", "L1", "2026-02-16T02:00:00Z", 1_600_000_000_000_000_000, None, "new")
    less = ("R2", "L2", "2026-02-16T02:00:00Z", 1_500_000_000_000_000_000, None, "new")
    outcome = day(**TWO_LOANS, repayments=[large, less])
    assert outcomes(outcome) == {"R1": "refused", "R2": "settled"}
    assert totals(outcome) == {
        "repayment_count": 1,
        "received": 1_500_000_000_000_000_000,
        "distributed": 20,
        "credit": 1_499_999_999_999_999_980,
    }


def test_receivables_that_are_too_large_to_add_up_take_what_there_is() -> None:
    giants = [(f"X{n}", "L1", n, "interest", "2026-02-16", 2**63 - 1, 0) for n in (1, 2)]
    assert allocated(day(receivables=giants)) == [("R1", "X1", 95_000)]


def test_a_reversal_of_an_amount_too_large_is_bad_by_itself() -> None:
    reversal = ("U1", "L1", "2026-02-16T03:00:00Z", 2**63 - 1, "R1", "new")
    outcome = day(repayments=[REPAYMENT, reversal], originals=[("R1", "L1", 95_000, False, False, "unsettled")])
    assert outcomes(outcome) == {"R1": "settled", "U1": "quarantined"}


@pytest.mark.parametrize(
    ("earlier", "later"), [("unknown_component", "unknown_currency"), ("unknown_currency", "no_notes")]
)
def test_what_the_rows_of_the_loan_say_has_its_order_too(earlier: str, later: str) -> None:
    assert day(**REFUSED[earlier][0], **REFUSED[later][0]).quarantine["rule"].tolist() == [earlier]


def test_principal_of_a_later_repayment_comes_before_the_holder_of_an_earlier_one() -> None:
    outcome = day(
        notes=[("N1", "L1", 100, 15), ("N2", "L1", 100, 15)],
        holdings=[],
        receivables=[
            ("P1", "L1", 1, "principal", "2026-02-16", 20, 0),
            ("P2", "L1", 2, "principal", "2026-02-16", 20, 0),
        ],
        repayments=[
            ("R1", "L1", "2026-02-16T02:00:00Z", 20, None, "new"),
            ("R2", "L1", "2026-02-16T03:00:00Z", 20, None, "new"),
        ],
    )
    assert rows(outcome.quarantine, "repayment_id", "rule") == [
        ("R1", "principal_exceeds_outstanding"),
        ("R2", "principal_exceeds_outstanding"),
    ]
    assert json.loads(outcome.quarantine["evidence"].iloc[0])["repayment_id"] == "R2"


def test_a_share_is_asked_for_its_holder_then_its_investor_then_its_tax_before_the_next_share_is() -> None:
    # N1's holder has no tax rule, N2 has no holder: the share of N1 comes first.
    outcome = day(investors=[("A", "trust"), *INVESTORS[1:]], holdings=[HOLDINGS[0], HOLDINGS[2]])
    assert outcome.quarantine["rule"].tolist() == ["no_tax_rule"]


def test_interest_shares_are_asked_before_the_principal_that_is_allocated_after_them() -> None:
    # On the 10th (due date of the principal) nobody holds N1; on the 16th (the interest) its holder is unknown.
    outcome = day(
        holdings=[("N1", "Z", "2026-02-16", None), *HOLDINGS[1:]],
        receivables=[INTEREST, ("P1", "L1", 1, "principal", "2026-02-10", 80_000, 0)],
        repayments=[("R1", "L1", "2026-02-10T11:00:00+09:00", 95_000, None, "new")],
    )
    assert outcome.quarantine["rule"].tolist() == ["unknown_investor"]


def test_a_share_of_nothing_needs_no_holder_and_principal_needs_no_tax_rule() -> None:
    outcome = day(
        notes=[*NOTES, ("N4", "L1", 100_000, 0)],
        investors=[("A", "trust"), ("B", "trust"), ("C", "trust")],
        receivables=[PRINCIPAL],
    )
    assert outcomes(outcome) == {"R1": "settled"}
    assert len(outcome.shares) == 3


def test_all_money_of_the_loan_stays_although_only_its_second_repayment_breaks_a_rule() -> None:
    # The interest of R2, received on the 16th, meets a sale that left N1 without a holder from the 16th on.
    outcome = day(
        holdings=[("N1", "A", "2026-01-15", "2026-02-16"), *HOLDINGS[1:]],
        receivables=[("I1", "L1", 1, "interest", "2026-02-10", 20_000, 0)],
        repayments=[
            ("R1", "L1", "2026-02-13T11:00:00+09:00", 10_000, None, "new"),
            ("R2", "L1", "2026-02-16T11:00:00+09:00", 10_000, None, "new"),
        ],
        credits=[("L1", "R0", "2026-02-12T11:00:00+09:00", 7, 0)],
    )
    assert rows(outcome.quarantine, "repayment_id", "amount", "rule") == [
        ("R1", 10_000, "no_holder"),
        ("R2", 10_000, "no_holder"),
    ]
    assert [len(outcome.allocations), len(outcome.credits)] == [0, 0]
    assert rows(outcome.breaks, "cause", "subject_id", "amount") == [("quarantined", "L1", 20_000)]


def test_a_held_credit_of_a_refused_loan_stays_held_without_a_row() -> None:
    outcome = day(investors=[], repayments=[], credits=[("L1", "R0", "2026-02-12T11:00:00+09:00", 7_000, 0)])
    empty = ("repayments", "allocations", "shares", "credits", "quarantine", "entries", "breaks")
    assert [len(getattr(outcome, name)) for name in empty] == [0] * len(empty)
    assert totals(outcome) == {}


def test_a_refused_retry_keeps_its_row_and_shows_its_break_with_all_that_is_kept_back() -> None:
    outcome = day(
        investors=[],
        repayments=[(*REPAYMENT[:-1], "quarantined"), ("R2", "L1", "2026-02-16T12:00:00+09:00", 5_000, None, "new")],
    )
    assert rows(outcome.repayments, "repayment_id", "outcome", "is_extracted_now") == [
        ("R1", "quarantined", False),
        ("R2", "quarantined", True),
    ]
    assert rows(outcome.quarantine, "repayment_id") == [("R2",)]
    assert rows(outcome.breaks, "cause", "subject_id", "amount") == [("quarantined", "L1", 100_000)]
    assert totals(outcome) == {"repayment_count": 1, "received": 5_000, "quarantined": 5_000}


def test_a_retry_that_settles_is_released_and_received_nothing_new() -> None:
    outcome = day(on=date(2026, 2, 17), repayments=[(*REPAYMENT[:-1], "quarantined")])
    assert rows(outcome.released) == [("R1",)]
    assert rows(outcome.entries, "event", "repayment_id") == [("repayment_distributed", "R1")]
    assert totals(outcome) == {
        "distributed": 88_050,
        "fee": 800,
        "vat": 80,
        "national_tax": 980,
        "local_tax": 90,
        "credit": 5_000,
        "quarantined": -95_000,
    }


def test_an_orphan_is_not_extracted_and_opens_only_a_break() -> None:
    outcome = day(
        repayments=[
            REPAYMENT,
            ("R9", "L9", "2026-02-16T12:00:00+09:00", 700, None, "new"),
            ("V9", "L9", "2026-02-16T13:00:00+09:00", 700, "R9", "new"),
        ],
        originals=[("R9", "L9", 700, False, False, "unsettled")],
    )
    assert rows(outcome.repayments, "repayment_id", "loan_id", "currency", "outcome", "is_extracted_now") == [
        ("R1", "L1", "KRW", "settled", True),
        ("R9", "L9", None, "refused", False),
        ("V9", "L9", None, "refused", False),
    ]
    assert rows(outcome.breaks, "cause", "subject_kind", "subject_id", "currency", "amount")[1:] == [
        ("orphan_repayment", "repayment", "R9", None, 700),
        ("orphan_repayment", "repayment", "V9", None, 700),
    ]
    assert totals(outcome) == totals(day())
