"""What contradicts itself in opening positions: every row is named, and every rule that it breaks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from settlement.domain import frames
from settlement.domain.books import opening as positions
from settlement.domain.computation import opening

OPENS_AT = datetime.fromisoformat("2026-02-14T00:00+09:00")
GOOD: dict[str, dict[str, Any]] = {
    "note_principal_repaid": {"subject_id": "N1", "loan_id": "L1", "most": 500, "amount": 500},
    "receivable_paid": {"subject_id": "X1", "loan_id": "L1", "most": 80, "amount": 79},
    "borrower_credit": {"subject_id": "L1", "loan_id": "L1", "amount": 5},
    "repayment_unallocated": {
        "subject_id": "R1",
        "loan_id": "L1",
        "most": 90,
        "amount": 90,
        "received_at": "2026-02-13T23:59+09:00",
    },
    "investor_payable": {"subject_id": "A", "amount": -7},
    "fee_income": {"amount": 3},
    "suspense": {"amount": 3},
    "receipt_in_transit": {"subject_id": "REF#2", "amount": 9},
    "payout_in_transit": {"subject_id": "E2E", "amount": 9},
}


def said(*rows: dict[str, Any]) -> list[str]:
    """Return what is wrong with these rows, each a good one of its kind but for what it says."""
    made = []
    for number, row in enumerate(rows, start=1):
        kind = row.get("kind", "fee_income")
        of_loan = kind in ("note_principal_repaid", "receivable_paid", "borrower_credit", "repayment_unallocated")
        usual = {
            "row": number,
            "kind": kind,
            "subject_id": "",
            "currency": "KRW",
            "loan_currency": "KRW" if of_loan else None,
            "is_known": of_loan or kind == "investor_payable",
            "most": 0,
            "is_undone": False,
            "is_named_so": False,
        }
        made.append(usual | GOOD.get(kind, {}) | row)
    frame = frames.build(frames.OPENING, made)
    return opening.contradictions(frame, opens_at=OPENS_AT, currencies={"KRW", "EUR"})


def test_what_is_good_is_not_named() -> None:
    assert said(*({"kind": kind} for kind in GOOD)) == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"kind": "note_paid", "amount": 1}, "there is no such kind"),
        ({"amount": 0}, "it has no amount"),
        ({"amount": -1}, "only what an investor is owed may be negative"),
        ({"amount": 10**18}, "more than [999999999999999999] cannot be added up"),
        ({"currency": "USD"}, "the policy does not name its currency"),
        ({"subject_id": "A"}, "its kind is one account: it names no subject"),
        ({"kind": "payout_in_transit", "subject_id": ""}, "it names no reference"),
        ({"kind": "payout_in_transit", "subject_id": "x" * 141}, "its subject has more than [140] characters"),
        ({"kind": "investor_payable", "is_known": False}, "the source does not have its subject"),
        ({"kind": "receivable_paid", "loan_id": None, "loan_currency": None}, "the source does not have its loan"),
        ({"kind": "borrower_credit", "currency": "EUR"}, "its loan [L1] is in [KRW]"),
        ({"kind": "note_principal_repaid", "amount": 501}, "it is [500] in all"),
        ({"kind": "receivable_paid", "amount": 81}, "it is [80] in all"),
        ({"kind": "repayment_unallocated", "amount": 89}, "it came with [90], and is taken whole"),
        (
            {"kind": "repayment_unallocated", "received_at": "2026-02-14T00:00+09:00"},
            "it came at [2026-02-13 15:00:00+00:00], in a window that is settled",
        ),
        ({"kind": "repayment_unallocated", "is_undone": True}, "it is a reversal, or was reversed before"),
        ({"kind": "borrower_credit", "is_named_so": True}, "the source has a repayment [opening:L1]"),
    ],
)
def test_a_contradiction_is_named_with_its_row(row: dict[str, Any], sentence: str) -> None:
    (found,) = said(row)
    assert found.endswith(f": {sentence}")


def test_every_row_is_named_and_not_the_first_alone() -> None:
    assert said({"kind": "investor_payable"}, {"kind": "investor_payable"}, {"amount": -2, "currency": "USD"}) == [
        "investor_payable [A] -7 KRW: there is more than one row of it",
        "investor_payable [A] -7 KRW: there is more than one row of it",
        "fee_income [] -2 USD: only what an investor is owed may be negative",
        "fee_income [] -2 USD: the policy does not name its currency",
    ]


def test_a_million_million_is_compared_to_the_unit() -> None:
    row = {"kind": "receivable_paid", "most": 2**57, "amount": 2**57 + 1}
    assert said(row) == [f"receivable_paid [X1] {2**57 + 1} KRW: it is [{2**57}] in all"]


@pytest.mark.parametrize(
    ("subject_id", "reference"),
    [("REF", "REF"), ("REF#2", "REF"), ("REF#x", "REF#x"), ("ALONE#2", "ALONE#2"), ("REF#", "REF#")],
)
def test_receipts_that_share_a_reference_are_told_apart_by_a_number_behind_it(subject_id: str, reference: str) -> None:
    assert positions.reference_of(subject_id, {"REF", "REF#2", "ALONE#2"}) == reference
