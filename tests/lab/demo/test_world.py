from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeVar

import psycopg
import pytest
from settlement_lab.demo import airflow_home, world
from settlement_lab.servers import bank

FIRST, SECOND, AFTER_THE_NEW_YEAR, FOURTH, LAST = world.SETTLEMENT_DATES
END = world.LEFT_DATES[-1]
CASES = world.CASES

Row = TypeVar("Row", bound=NamedTuple)


@pytest.fixture(scope="module")
def lender() -> world.World:
    return world.World()


def rows(facts: Sequence[NamedTuple], kind: type[Row]) -> list[Row]:
    """Return the rows of a table, each of which is of [kind]."""
    found = [row for row in facts if isinstance(row, kind)]
    assert len(found) == len(facts)
    return found


def receipts(lender: world.World, case: str) -> list[tuple[date, bool]]:
    rows = [row for row in lender.repayments if row.loan_id == CASES[case]]
    return [(row.received_at.date(), row.reverses_repayment_id is not None) for row in rows]


def test_the_world_is_the_same_every_time_and_another_seed_is_another_world(lender: world.World) -> None:
    assert lender.facts_until(LAST) == world.World().facts_until(LAST)
    assert lender.facts_until(LAST) != world.World(1).facts_until(LAST)


def test_it_has_the_size_that_was_promised(lender: world.World) -> None:
    assert (len(lender.loans), len(lender.investors), len(lender.notes)) == (68, 300, 3_400)


def test_the_settlement_dates_are_the_business_days_around_the_lunar_new_year() -> None:
    days = [FIRST + timedelta(days=number) for number in range((END - FIRST).days + 1)]
    assert tuple(day for day in days if bank.CALENDAR.is_business_day(day)) == world.DATES


def test_a_note_has_exactly_one_holder_on_every_date(lender: world.World) -> None:
    periods = defaultdict(list)
    for row in lender.holdings:
        periods[row.note_id].append((row.held_from, row.held_until_exclusive))
    assert set(periods) == {note.note_id for note in lender.notes}
    for held in periods.values():
        assert [until for _, until in held] == [*(start for start, _ in held[1:]), None]


def test_the_contract_pays_every_note_back(lender: world.World) -> None:
    owed = Counter[str]()
    for row in lender.schedule:
        owed[row.loan_id] += row.amount * (row.component == "principal")
    for loan in lender.loans:
        if loan.loan_id not in world.BULLET_LOANS[:2]:  # these two mature after the demo
            assert owed[loan.loan_id] == loan.principal


def test_every_case_of_the_demo_is_there_once(lender: world.World) -> None:
    assert receipts(lender, "early payer") == [(FIRST, False)]
    assert lender.loan[CASES["early payer"]].due_on == FOURTH
    assert receipts(lender, "late payer") == [(FOURTH, False)]
    assert lender.loan[CASES["late payer"]].due_on == FIRST
    assert receipts(lender, "partial payment") == [(SECOND, False), (LAST, False)]
    assert receipts(lender, "recorded late") == [(SECOND, False)]
    recorded = [row.repayment_id for row in lender.repayments if row.recorded_at.date() == LAST]
    assert "P-L018-0213" in recorded
    known = rows(lender.facts_until(FOURTH)["repayments"], world.Repayment)
    assert "P-L018-0213" not in {row.repayment_id for row in known}
    assert receipts(lender, "reversed repayment") == [(SECOND, False), (AFTER_THE_NEW_YEAR, True), (LAST, False)]
    assert [row.loan_id for row in lender.late_interest] == ["L010", "L015", "L025"]
    assert Counter(row.tax_class for row in lender.investors) == {
        "individual": 260,
        "corporation": 20,
        "lender": 10,
        "nonresident": 10,
    }
    assert [row.investor_id for row in lender.investors if row.status == "frozen"] == ["I007"]
    assert [row.investor_id for row in lender.investors if row.payout_account is None] == ["I021"]
    assert [row.investor_id for row in lender.investors if row.payout_account == world.CLOSED_ACCOUNT] == ["I013"]
    (seller, buyer) = (row for row in lender.holdings if row.note_id == "L015-N01")
    assert (seller.held_until_exclusive, buyer.held_from) == (AFTER_THE_NEW_YEAR, AFTER_THE_NEW_YEAR)
    assert seller.investor_id != buyer.investor_id


def test_the_borrower_who_pays_too_much_leaves_seventy_thousand_won_and_has_it_back_on_the_last_day(
    lender: world.World,
) -> None:
    (paid,) = (row.amount for row in lender.repayments if row.loan_id == CASES["over-payment"])
    owed = sum(row.amount for row in lender.schedule if row.loan_id == CASES["over-payment"])
    assert paid - owed == 70_000
    (refund,) = lender.refunds
    assert (refund.loan_id, refund.amount) == (CASES["over-payment"], 70_000)
    assert lender.facts_until(FOURTH)["refunds"] == []
    assert lender.facts_until(LAST)["refunds"] == [refund]


def test_the_investors_with_a_difficulty_are_owed_something(lender: world.World) -> None:
    paid_loans = {row.loan_id for row in lender.repayments}
    for case in ("frozen investor", "closed account", "no account"):
        held = [row.note_id[:4] for row in lender.holdings if row.investor_id == CASES[case]]
        assert paid_loans & set(held)


def test_money_of_the_weekend_and_the_holidays_belongs_to_the_next_business_day(lender: world.World) -> None:
    on_closed_days = [row for row in lender.repayments if FIRST < row.received_at.date() < AFTER_THE_NEW_YEAR]
    between = [row for row in on_closed_days if row.received_at.date() != SECOND]
    assert {row.received_at.date().weekday() for row in between} >= {5, 6}
    assert {world.settlement_date(row.received_at) for row in between} == {AFTER_THE_NEW_YEAR}


def test_a_day_knows_nothing_of_the_days_after_it(lender: world.World) -> None:
    facts = lender.facts_until(SECOND)
    assert max(row.received_at.date() for row in rows(facts["repayments"], world.Repayment)) == SECOND
    receivables = rows(facts["receivables"], world.Receivable)
    assert not [row for row in receivables if row.component == "late_interest"]
    assert len(lender.facts_until(END)["repayments"]) == len(lender.repayments)


def test_two_dates_are_left_for_a_person_one_of_them_above_the_limit(lender: world.World) -> None:
    received = Counter[date]()
    for row in lender.repayments:
        received[world.settlement_date(row.received_at)] += row.amount
    above, below = (received[day] for day in world.LEFT_DATES)
    assert below < airflow_home.APPROVAL_LIMIT < above * 9 // 10
    assert sum(row.received_at.date() > LAST for row in lender.repayments) == len(world.LEFT_LOANS)


def test_loading_a_day_again_writes_nothing(lender: world.World, lending_core: Any) -> None:
    first = world.load(lending_core.owner_url, lender.facts_until(FIRST))
    assert first > 3_000 + 3_000 + 300
    assert world.load(lending_core.owner_url, lender.facts_until(FIRST)) == 0
    assert world.load(lending_core.owner_url, lender.facts_until(END)) == len(lender.repayments) - 6 + 3 + 1
    with psycopg.connect(lending_core.url.replace("+psycopg", "")) as connection:
        assert connection.execute("select count(*), sum(amount) from core.repayments").fetchone() == (
            len(lender.repayments),
            sum(row.amount for row in lender.repayments),
        )


def test_the_bank_books_every_receipt_on_its_settlement_date_and_takes_the_refused_one_back(
    lender: world.World, mock_bank: Callable[..., bank.Bank]
) -> None:
    the_bank = mock_bank()
    for day in world.DATES:
        for _ in range(2):  # telling it twice tells it once
            world.tell_the_bank(the_bank, lender.bank_events(day))
        the_bank.advance_to(day + timedelta(days=1))
    movements = {row["day"]: row["closing"] - row["opening"] for row in the_bank.statements()}
    expected = Counter[str]()
    for row in lender.repayments:
        sign = -1 if row.reverses_repayment_id else 1
        expected[world.settlement_date(row.received_at).isoformat()] += sign * row.amount
    assert movements == dict(expected)
    assert the_bank.statements()[0]["opening"] == bank.OPENING_BALANCE
