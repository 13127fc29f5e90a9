"""What a statement is called, and what the books can hold of it."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from settlement.domain.bank.statement import Movement, Notification, Statement, bounded, lines_of, of_account, prove
from settlement.domain.errors import UnreadableMessage

MOVEMENT = Movement(booking_date=date(2026, 2, 16), value_date=None, amount=500)


def statement(account: str, *movements: Movement, opening: int = 0, name: str = "S-1") -> Statement:
    return prove(
        statement_id=name,
        sequence=None,
        account=account,
        currency="KRW",
        business_date=date(2026, 2, 16),
        from_date=None,
        to_date=None,
        opening=opening,
        closing=opening + sum(movement.amount for movement in movements),
        movements=movements,
    )


def test_an_account_called_otherwise_makes_the_statement_that_it_is_under_its_own_name() -> None:
    other = statement("110-123", MOVEMENT, MOVEMENT)
    assert of_account(replace(other, otherwise=other), "KR23") == replace(
        statement("KR23", MOVEMENT, MOVEMENT), otherwise=statement("KR23", MOVEMENT, MOVEMENT)
    )
    assert of_account(other, "110-123") is other


def test_a_notification_of_an_account_called_otherwise_has_the_lines_of_its_own_name() -> None:
    def notification(account: str) -> Notification:
        lines = lines_of([MOVEMENT], statement_id="N-1", account=account, currency="KRW")
        return Notification(notification_id="N-1", account=account, currency="KRW", lines=lines)

    assert of_account(notification("110-123"), "KR23") == notification("KR23")


@pytest.mark.parametrize(
    "largest",
    [
        {"end_to_end_id": "E" * 140},
        {"remittance": "x" * 10_000},
        {"transaction_count": 999_999_999},
        {"amount": -999_999_999_999_999_999},
        {"booking_date": date(1970, 1, 1), "value_date": date(2199, 12, 31)},
    ],
)
def test_the_largest_that_the_books_hold_is_taken(largest: dict[str, Any]) -> None:
    movement = replace(MOVEMENT, **largest)
    assert bounded(movement, line=7) is movement


@pytest.mark.parametrize(
    ("absurd", "why"),
    [
        ({"end_to_end_id": "E" * 141}, "has 141 characters, more than the 140"),
        ({"reference": "E" * 141}, "has 141 characters"),
        ({"bank_reference": "E" * 141}, "has 141 characters"),
        ({"file_id": "E" * 141}, "has 141 characters"),
        ({"bank_code": "E" * 141}, "has 141 characters"),
        ({"reason": "E" * 141}, "has 141 characters"),
        ({"counterparty_account": "E" * 141}, "has 141 characters"),
        ({"remittance": "x" * 10_001}, "has 10001 characters, more than the 10000"),
        ({"transaction_count": 1_000_000_000}, "no count of transactions"),
        ({"transaction_count": 0}, "no count of transactions"),
        ({"amount": 1_000_000_000_000_000_000}, "more than eighteen digits"),
        ({"booking_date": date(1969, 12, 31)}, "no date of a statement"),
        ({"value_date": date(2200, 1, 1)}, "no date of a statement"),
    ],
)
def test_what_the_books_cannot_hold_is_refused_with_its_line(absurd: dict[str, Any], why: str) -> None:
    with pytest.raises(UnreadableMessage, match=f"^line 7: .*{why}"):
        bounded(replace(MOVEMENT, **absurd), line=7)


def test_a_statement_that_moves_more_than_the_books_hold_is_refused() -> None:
    half = replace(MOVEMENT, amount=500_000_000_000_000_000)
    back = replace(MOVEMENT, amount=-500_000_000_000_000_000)
    with pytest.raises(UnreadableMessage, match="more money than eighteen digits"):
        statement("KR23", half, back)
    with pytest.raises(UnreadableMessage, match="more money than eighteen digits"):
        statement("KR23", opening=-1_000_000_000_000_000_000)
    with pytest.raises(UnreadableMessage, match="has 141 characters"):
        statement("KR23", name="S" * 141)
