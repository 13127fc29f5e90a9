"""The chart and the entries of the journal: what each event debits and credits (rules, section 6)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from settlement.domain import policy
from settlement.domain.books import accounts, postings
from settlement.domain.books.accounts import BORROWER_CREDIT, BORROWER_PAYABLE, CHART, INVESTOR_PAYABLE
from settlement.domain.books.postings import Entry

A, B, L1, F1 = INVESTOR_PAYABLE("A"), INVESTOR_PAYABLE("B"), BORROWER_CREDIT("L1"), BORROWER_PAYABLE("F1")
CUTS = {"cost": 0, "fee": 640, "vat": 64, "national_tax": 700, "local_tax": 70}

ENTRIES: dict[str, tuple[Entry[int], dict[str, int]]] = {
    "opening": (postings.opening(1_000), {"client_bank": 1_000, "opening_balance": -1_000}),
    "opening_position": (postings.opening_position(A, 7_000), {"opening_balance": 7_000, "investor_payable:A": -7_000}),
    "repayment_extracted": (
        postings.repayment_extracted(95_000),
        {"receipts_in_transit": 95_000, "repayments_unallocated": -95_000},
    ),
    "repayment_distributed": (
        postings.repayment_distributed(95_000, credit=L1, held=5_000, investors=[(A, 43_790), (B, 44_736)], **CUTS),
        {
            "repayments_unallocated": 95_000,
            "borrower_credit:L1": -5_000,
            "fee_income": -640,
            "vat_payable": -64,
            "tax_payable:national": -700,
            "tax_payable:local": -70,
            "investor_payable:A": -43_790,
            "investor_payable:B": -44_736,
        },
    ),
    "credit_applied": (
        postings.credit_applied(5_000, credit=L1, investors=[(A, 3_526)], **CUTS),
        {
            "borrower_credit:L1": 5_000,
            "fee_income": -640,
            "vat_payable": -64,
            "tax_payable:national": -700,
            "tax_payable:local": -70,
            "investor_payable:A": -3_526,
        },
    ),
    "refund_ordered": (
        postings.refund_ordered(5_000, credit=L1, payable=F1),
        {"borrower_credit:L1": 5_000, "borrower_payable:F1": -5_000},
    ),
    "refund_undone": (
        postings.refund_undone(5_000, credit=L1, payable=F1),
        {"borrower_payable:F1": 5_000, "borrower_credit:L1": -5_000},
    ),
    "repayment_reversed": (
        postings.repayment_reversed([("receipts_in_transit", 95_000), ("repayments_unallocated", -95_000)]),
        {"receipts_in_transit": -95_000, "repayments_unallocated": 95_000},
    ),
    "payout_prepared": (
        postings.payout_prepared(A, 43_790),
        {"investor_payable:A": 43_790, "payouts_in_transit": -43_790},
    ),
    "payout_rejected": (
        postings.payout_rejected(A, 43_790),
        {"payouts_in_transit": 43_790, "investor_payable:A": -43_790},
    ),
    "payout_returned": (
        postings.payout_returned(A, 43_790),
        {"payouts_in_transit": 43_790, "investor_payable:A": -43_790},
    ),
    "line_matched": (
        postings.line_booked("receipts_in_transit", 95_000, is_suspended=False),
        {"client_bank": 95_000, "receipts_in_transit": -95_000},
    ),
    "line_suspended": (postings.line_suspended(-12_345), {"client_bank": -12_345, "suspense": 12_345}),
    "suspense_resolved": (
        postings.line_booked("payouts_in_transit", -43_790, is_suspended=True),
        {"suspense": -43_790, "payouts_in_transit": 43_790},
    ),
    "tolerance_booked": (
        postings.tolerance_booked("receipts_in_transit", 10),
        {"difference": 10, "receipts_in_transit": -10},
    ),
    "written_off": (
        postings.line_booked("difference", 700, is_suspended=True, is_written_off=True),
        {"suspense": 700, "difference": -700},
    ),
    "bank_charge": (
        postings.line_booked("bank_charges", -500, is_suspended=False),
        {"client_bank": -500, "bank_charges": 500},
    ),
    "bank_interest": (
        postings.line_booked("bank_interest", 77, is_suspended=False),
        {"client_bank": 77, "bank_interest": -77},
    ),
    "remitted": (
        postings.line_booked("tax_payable:national", -980, is_suspended=False),
        {"client_bank": -980, "tax_payable:national": 980},
    ),
}


@pytest.mark.parametrize("event", ENTRIES)
def test_an_event_books_these_legs_and_they_sum_to_zero(event: str) -> None:
    entry, legs = ENTRIES[event]
    assert entry.event == event
    assert {account: amount for account, amount in entry.legs if amount} == legs
    assert sum(legs.values()) == 0


@pytest.mark.parametrize("event", ENTRIES)
def test_an_event_moves_only_accounts_whose_chart_names_it(event: str) -> None:
    for name, _ in ENTRIES[event][0].legs:
        assert event in accounts.account_of(name).moved_by, name


def test_every_event_that_moves_an_account_has_its_function_and_its_example() -> None:
    assert {event for account in CHART for event in account.moved_by} == set(ENTRIES)


def test_a_column_of_amounts_books_as_each_of_them() -> None:
    column = postings.repayment_extracted(np.array([95_000, 5], dtype=np.int64))
    assert [(account, amount.tolist()) for account, amount in column.legs] == [
        ("receipts_in_transit", [95_000, 5]),
        ("repayments_unallocated", [-95_000, -5]),
    ]


def test_an_account_that_is_not_in_the_chart_is_named() -> None:
    with pytest.raises(KeyError, match="investor_payables:A"):
        accounts.account_of("investor_payables:A")
    assert INVESTOR_PAYABLE.subject_of("investor_payable:A") == "A"
    assert accounts.account_of("tax_payable:local").holds.startswith("local income tax")


def test_the_accounts_that_a_policy_may_remit_from_are_those_of_the_chart() -> None:
    assert get_args(policy.Remitted) == tuple(account.name for account in accounts.REMITTED)


def test_accounts_are_spelled_in_the_chart_and_nowhere_else() -> None:
    package = Path(accounts.__file__).parents[2]
    names = {account.name for account in CHART} | {account.prefix for account in CHART if account.of}
    names -= {"bank_interest", "difference"}  # also the words of a matching rule, and of an amount

    def spelled(tree: ast.AST) -> list[Any]:
        return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in names]

    found = {
        path.relative_to(package).as_posix(): spelled(ast.parse(path.read_text("utf-8")))
        for path in package.rglob("*.py")
        if path != Path(accounts.__file__)
    }
    assert {path: said for path, said in found.items() if said} == {
        "domain/policy.py": [account.name for account in accounts.REMITTED]  # a Literal cannot be computed
    }
