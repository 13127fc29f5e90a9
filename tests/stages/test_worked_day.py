"""The contract's worked day through every stage: a real source, ledger and bank, and exactly its numbers everywhere."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

from settlement.stages import reconcile

from .conftest import Platform

DAY = Path(__file__).parent.parent / "days" / "2026-02-16"


def expected(name: str) -> list[tuple[Any, ...]]:
    with (DAY / f"{name}.csv").open(encoding="utf-8") as file:
        return sorted(
            tuple(int(v) if v.lstrip("-").isdigit() else v for v in row.values()) for row in csv.DictReader(file)
        )


def settled(platform: Platform) -> dict[str, Any]:
    platform.source((DAY / "core.sql").read_text(encoding="utf-8"))
    platform.bank.receive(reference="REF-R1", amount=95000, on=date(2026, 2, 16), payer="홍길동")
    return platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")


def test_the_worked_day_gives_its_numbers_in_the_books(platform: Platform) -> None:
    said = settled(platform)
    assert said["distribute"]["totals"]["KRW"] == {
        "repayment_count": 1,
        "received_amount": 95000,
        "distributed_amount": 88050,
        "fee_amount": 800,
        "vat_amount": 80,
        "national_tax_amount": 980,
        "local_tax_amount": 90,
        "cost_amount": 0,
        "credit_amount": 5000,
        "quarantined_amount": 0,
        "refunded_amount": 0,
    }
    for view, columns in {
        "allocations": "repayment_id, receivable_id, currency, component, amount",
        "shares": "receivable_id, note_id, investor_id, component, gross_amount, fee_amount, vat_amount,"
        " national_tax_amount, local_tax_amount, net_amount",
        "payouts": "investor_id, currency, amount",
    }.items():
        assert sorted(platform.rows(f"select {columns} from reporting.{view}")) == expected(view)
    events = "('repayment_extracted', 'repayment_distributed', 'payout_prepared')"
    assert sorted(
        platform.rows(f"select event, account, amount from reporting.journal where event in {events}")
    ) == expected("journal")
    assert platform.rows("select cause, subject_id, currency, amount from reporting.breaks") == [
        ("overpaid", "L1", "KRW", 5000)
    ]
    assert platform.rows("select state from reporting.settlement_days") == [("settled_with_breaks",)]


def test_the_worked_day_reaches_the_bank_and_comes_back_booked(platform: Platform) -> None:
    settled(platform)
    assert platform.rows("select distinct state from reporting.payouts") == [("accepted",)]
    at_bank = platform.bank.payments()
    ours = platform.rows("select end_to_end_id, amount from reporting.payouts")
    assert sorted((p["end_to_end_id"], p["amount"]) for p in at_bank) == sorted(ours)
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))
    assert platform.rows("select distinct state, booked_on::text from reporting.payouts") == [("booked", "2026-02-19")]
    closing = platform.rows("select closing from ledger.statements order by position desc limit 1")[0][0]
    assert platform.rows("select amount from reporting.balances where account = 'client_bank'") == [(closing,)]
    assert (
        platform.rows("select account from reporting.balances where account like '%in_transit' or account = 'suspense'")
        == []
    )
    assert platform.rows("select state from reporting.settlement_days") == [("closed",)]


def test_a_second_run_of_the_day_changes_nothing(platform: Platform) -> None:
    settled(platform)
    before = everything(platform)
    said = platform.settle("2026-02-16", at="2026-02-17T07:00+09:00", run_id="run-2")
    assert said["report"]["already_settled"] is True
    assert everything(platform) == before
    assert len(platform.bank.payments()) == 3


def everything(platform: Platform) -> dict[str, list[str]]:
    return {view: sorted(str(row) for row in platform.rows(f"select * from reporting.{view}")) for view in VIEWS}


VIEWS = ("settlement_days", "allocations", "shares", "journal", "payouts", "breaks", "balances", "held", "quarantine")


def test_a_second_run_leaves_the_state_alone_that_a_later_break_would_change(platform: Platform) -> None:
    platform.source((DAY / "core.sql").read_text(encoding="utf-8"))
    platform.source("update core.receivables set amount = 85000 where receivable_id = 'L1-1-P'")
    platform.bank.receive(reference="REF-R1", amount=95000, on=date(2026, 2, 16), payer="홍길동")
    platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    assert platform.rows("select state from reporting.settlement_days") == [("settled",)]
    # Money that nobody announced opens a break of a later day.
    platform.bank.receive(reference="NOBODY", amount=7, on=date(2026, 2, 19), payer="임꺽정")
    platform.at("2026-02-20T06:00+09:00")
    said = platform.settle("2026-02-16", at="2026-02-20T06:00+09:00", run_id="run-2")
    assert said["report"]["already_settled"] is True
    assert ("unknown_at_bank",) in platform.rows("select cause from reporting.breaks where state = 'open'")
    assert platform.rows("select state from reporting.settlement_days") == [("closed",)]
