"""A day in euros under `eur.toml`, through every stage: cents, TARGET's calendar over Easter, no tax, a fee on all."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from settlement import config
from settlement.stages import reconcile
from settlement_lab.servers import bank as demo_bank

from .conftest import Platform

POLICY = Path(config.DEFAULT_POLICY).with_name("eur.toml")
DEBTOR = {
    "debtor_account": "DE89370400440532013000",
    "debtor_name": "Lender Client Account",
    "debtor_agent": "COBADEFFXXX",
    "currency": "EUR",
}

SOURCE = """
insert into core.loans (loan_id, currency, disbursed_on) values ('L1', 'EUR', '2026-02-02');
insert into core.investors (investor_id, name, tax_class, status, payout_account, payout_bank) values
  ('A', 'Ada', 'individual', 'active', 'FR1420041010050500013M02606', 'PSSTFRPPXXX'),
  ('B', 'Ben', 'nonresident', 'active', 'NL91ABNA0417164300', 'ABNANL2AXXX');
insert into core.notes (note_id, loan_id, principal) values ('N1', 'L1', 70000), ('N2', 'L1', 30000);
insert into core.note_holdings (note_id, investor_id, held_from) values
  ('N1', 'A', '2026-02-02'), ('N2', 'B', '2026-02-02');
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values
  ('I1', 'L1', 1, 'interest', '2026-03-02', 501), ('P1', 'L1', 1, 'principal', '2026-03-02', 5000),
  ('I2', 'L1', 2, 'interest', '2026-04-02', 475), ('P2', 'L1', 2, 'principal', '2026-04-02', 5000),
  ('I3', 'L1', 3, 'interest', '2026-05-04', 450), ('P3', 'L1', 3, 'principal', '2026-05-04', 5000);
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values
  ('R1', 'L1', '2026-04-02T16:59+02:00', 12000, 'RF18539007547034'),
  ('R2', 'L1', '2026-04-02T17:01+02:00', 100, 'RF712348231');
"""


@pytest.fixture
def euros(platform: Platform, mock_bank: Callable[..., demo_bank.Bank]) -> Platform:
    """The platform with a euro account at a bank in Frankfurt that is closed on TARGET's closing days."""
    bank = mock_bank(clock="2026-04-02T06:00", arguments=("--timezone", "Europe/Berlin"))
    httpx.put(f"{bank.url}/_mock/holidays", json=["2026-04-03", "2026-04-06"]).raise_for_status()
    account: dict[str, object] = {
        "id": "EURO",
        "iban": DEBTOR["debtor_account"],
        "name": DEBTOR["debtor_name"],
        "currency": "EUR",
    }
    account |= {"bic": DEBTOR["debtor_agent"], "balance": 100_000, "behaviour": "accept"}
    httpx.post(f"{bank.url}/_mock/accounts", json=account).raise_for_status()
    host, port = bank.url.removeprefix("http://").split(":")
    connection = {"conn_type": "http", "host": host, "port": int(port), "extra": DEBTOR}
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps(connection))
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(POLICY))
    platform.bank = bank
    return platform


def test_a_day_in_euros_is_paid_to_the_cent_over_easter(euros: Platform) -> None:
    euros.source(SOURCE)
    credit = {"account": DEBTOR["debtor_account"], "amount": 12_000, "value_date": "2026-04-02"}
    credit |= {"reference": "RF18539007547034", "debtor": {"name": "Borrower"}, "note": "RF18539007547034"}
    httpx.post(f"{euros.bank.url}/_mock/credits", json=credit).raise_for_status()

    said = euros.settle("2026-04-02", at="2026-04-07T06:00+02:00")

    # The oldest instalment whole, then the next; what is over repays principal that is not due yet. R2 came a minute
    # after five, so it belongs to the day after Easter.
    assert euros.rows("select receivable_id, component, amount from reporting.allocations order by 1") == [
        ("I1", "interest", 501),
        ("I2", "interest", 475),
        ("P1", "principal", 5000),
        ("P2", "principal", 5000),
        ("P3", "principal", 1024),
    ]
    assert euros.rows(
        "select receivable_id, investor_id, gross_amount, fee_amount, vat_amount, national_tax_amount, net_amount"
        " from reporting.shares order by 1, 2"
    ) == [
        ("I1", "A", 351, 2, 0, 0, 349),
        ("I1", "B", 150, 1, 0, 0, 149),
        ("I2", "A", 333, 2, 0, 0, 331),
        ("I2", "B", 142, 1, 0, 0, 141),
        ("P1", "A", 3500, 29, 0, 0, 3471),
        ("P1", "B", 1500, 12, 0, 0, 1488),
        ("P2", "A", 3500, 29, 0, 0, 3471),
        ("P2", "B", 1500, 12, 0, 0, 1488),
        ("P3", "A", 717, 6, 0, 0, 711),
        ("P3", "B", 307, 2, 0, 0, 305),
    ]
    assert {name: amount for name, amount in said["distribute"]["totals"]["EUR"].items() if amount} == {
        "repayment_count": 1,
        "received_amount": 12000,
        "distributed_amount": 11904,
        "fee_amount": 96,
    }
    assert sorted((p["creditor_name"], p["amount"]) for p in euros.bank.payments()) == [("Ada", 8333), ("Ben", 3571)]
    with euros.services() as services:
        reconcile.take_in_everything(services, now=euros.at("2026-04-09T06:00+02:00"))
    assert euros.rows(
        "select investor_id, currency, amount, state, booked_on::text from reporting.payouts order by 1"
    ) == [
        ("A", "EUR", 8333, "booked", "2026-04-07"),
        ("B", "EUR", 3571, "booked", "2026-04-07"),
    ]
    assert euros.rows("select account, currency, amount from reporting.balances order by 1") == [
        ("client_bank", "EUR", 100_096),
        ("fee_income", "EUR", -96),
        ("opening_balance", "EUR", -100_000),
    ]
    assert euros.rows("select state from reporting.settlement_days") == [("closed",)]
