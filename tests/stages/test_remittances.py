"""What is handed on is matched with the months' sums, and what differs is a break: taxes of January on the statements.

January kept back 980 of national tax, 90 of local tax and 80 of VAT. Taxes are due on 10 February, VAT on 27 April.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from settlement import wiring
from settlement.domain import remittances
from settlement.domain.books.accounts import Remittance
from settlement.domain.books.postings import Entry, JournalEntry
from settlement.domain.policy import DueDay

from .test_close import month_certificate
from .test_month import DUE
from .test_reconcile import Account, account, line, statement

__all__ = ["account"]

JAN, FEB, MAR = (date(2026, month, 1) for month in (1, 2, 3))
AT = datetime.fromisoformat("2026-02-20T12:00+09:00")
KEPT = {"national_tax": 980, "local_tax": 90, "vat": 80}
OFFICES = '[matching]\nremitted_to = { "tax_payable:national" = ["001-1"], "tax_payable:local" = ["001-2"] }'
NATIONAL, LOCAL = "0011", "0012"


@pytest.fixture
def january(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A month that is certified, and the money of it that waits to be handed on."""
    text = Path(os.environ["SETTLEMENT_POLICY"]).read_text(encoding="utf-8")
    policy = tmp_path / "offices.toml"
    policy.write_text(text.replace("[matching]", OFFICES, 1) + DUE, encoding="utf-8")
    monkeypatch.setenv("SETTLEMENT_POLICY", str(policy))
    legs = [(Remittance(kind).account.name, -amount) for kind, amount in KEPT.items()]
    entry = Entry("repayment_distributed", (("repayments_unallocated", sum(KEPT.values())), *legs))
    with wiring.services() as services, services.ledger.books(posting=True) as books:
        books.journal.post(JournalEntry(entry=entry, currency="KRW"), settlement_date=date(2026, 1, 30), now=AT)
    payables = [
        {"currency": "KRW", "kind": kind, "charged_amount": amount, "corrected_amount": 0, "due_on": due}
        for (kind, amount), due in zip(KEPT.items(), ("2026-02-10", "2026-02-10", "2026-04-27"), strict=True)
    ]
    engine = sa.create_engine(account.ledger_url.replace("settlement@", "postgres@"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("set session_replication_role = replica")
        connection.exec_driver_sql(month_certificate(payables=payables))
    engine.dispose()
    return account


def of_january(account: Account) -> list[tuple[object, ...]]:
    return account.rows("select kind, amount, remitted_amount, due_on from reporting.months order by kind")


def test_what_is_handed_on_is_matched_with_the_months_sum_and_what_is_missing_is_a_break_until_it_comes(
    january: Account,
) -> None:
    january.hear(
        statement(19, 5_000, line(-980, counterparty_account=NATIONAL), line(-80, counterparty_account=LOCAL)), at=AT
    )
    assert of_january(january) == [
        ("local_tax", 90, 80, date(2026, 2, 10)),
        ("national_tax", 980, 980, date(2026, 2, 10)),
        ("vat", 80, 0, date(2026, 4, 27)),
    ]
    assert january.breaks() == [("remittance_differs", "2026-01:local_tax:KRW", 10)]

    january.hear(statement(20, 3_940, line(-10, on=date(2026, 2, 20), counterparty_account=LOCAL)), at=AT)
    assert of_january(january)[0] == ("local_tax", 90, 90, date(2026, 2, 10))
    assert january.breaks() == []
    assert january.rows("select resolution from ledger.breaks") == [("what was handed on is the month's sum",)]


def test_what_is_handed_on_too_much_is_a_break_at_once(january: Account) -> None:
    january.hear(statement(19, 5_000, line(-1_000, counterparty_account=NATIONAL)), at=AT)
    assert january.breaks() == [
        ("remittance_differs", "2026-01:local_tax:KRW", 90),
        ("remittance_differs", "2026-01:national_tax:KRW", -20),
        ("remittance_differs", "national_tax:KRW", -20),  # and this is investors' money
    ]
    with pytest.raises(sa.exc.IntegrityError, match="hands on another amount of"):
        january.rows("insert into ledger.remittances select line_id, kind, '2026-02-01', currency, 1, now()"
                     " from ledger.remittances returning 1")  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "owed", "parts"),
    [
        (50, [(JAN, 5), (FEB, 50)], {FEB: 50}),  # exactly one month's
        (55, [(JAN, 5), (FEB, 50), (MAR, 7)], {JAN: 5, FEB: 50}),  # exactly the oldest two
        (57, [(JAN, 5), (FEB, 50), (MAR, 7)], {JAN: 57}),  # neither: the oldest that is not paid
        (3, [(JAN, 0), (FEB, 50)], {FEB: 3}),
        (-3, [(JAN, -3), (FEB, -9)], {JAN: -3}),
        (-4, [(JAN, -3), (FEB, -9), (MAR, 7)], {FEB: -4}),  # back: the newest that was paid too much
        (3, [(JAN, 0), (FEB, -9)], {}),
        (3, [], {}),
    ],
)
def test_a_line_pays_the_sum_that_it_is_or_else_the_oldest(
    amount: int, owed: Sequence[tuple[date, int]], parts: dict[date, int]
) -> None:
    assert remittances.assign(amount, owed) == parts


@given(
    st.integers(-100, 100).filter(bool),
    st.lists(st.integers(-100, 100), max_size=12),
)
def test_the_parts_of_a_line_are_the_line_or_it_waits_where_nothing_asks_for_it(amount: int, dues: list[int]) -> None:
    owed = [(date(2026, month, 1), due) for month, due in enumerate(dues, start=1)]
    parts = remittances.assign(amount, owed)
    assert sum(parts.values()) == (amount if parts else 0)
    assert set(parts) <= {on for on, _ in owed}
    assert bool(parts) or not any(due * amount > 0 for due in dues)


def test_a_quarter_is_handed_on_under_its_last_month() -> None:
    quarterly = {Remittance.VAT: DueDay(months=3, due_day=25)}
    assert [remittances.period_of(quarterly, Remittance.VAT, month) for month in (JAN, FEB, MAR, date(2026, 4, 1))] == [
        MAR, MAR, MAR, date(2026, 6, 1),
    ]  # fmt: skip
    assert remittances.period_of(quarterly, Remittance.FEE, FEB) == FEB
