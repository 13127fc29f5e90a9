"""What a statement is called, and what the books can hold of it."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from settlement.domain.bank.statement import (
    Movement,
    Notification,
    Statement,
    as_of,
    bounded,
    going_on,
    in_order,
    last_whole,
    lines_of,
    of_account,
    prove,
    runs,
    under_its_whole_name,
    untold,
)
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


# ----------------------------------------------------------------------------------------------------------- told again


def moved(amount: int, **said: Any) -> Movement:
    return replace(MOVEMENT, amount=amount, **said)


@pytest.mark.parametrize(
    ("kept", "again", "new"),
    [
        ([moved(5)], [moved(5, bank_reference="B-1")], []),
        ([moved(5, bank_reference="B-1")], [moved(5)], []),
        ([moved(5, bank_reference="B-1")], [moved(5, bank_reference="B-2")], None),
        ([moved(5)], [moved(6)], None),
        ([moved(5)], [moved(5, booking_date=date(2026, 2, 17))], None),
        ([moved(5, reference="a"), moved(5, reference="b")], [moved(5), moved(5, reference="b", file_id="F")], []),
        ([moved(5, reference="b"), moved(5)], [moved(5, reference="a"), moved(5, reference="b")], []),
        ([moved(5), moved(7)], [moved(7), moved(9), moved(5)], [9]),
        ([moved(5, remittance="one")], [moved(5, remittance="two"), moved(5, remittance="one")], [5]),
        ([moved(5), moved(5)], [moved(5)], None),
    ],
)
def test_a_repetition_has_every_line_and_contradicts_in_none(
    kept: list[Movement], again: list[Movement], new: list[int] | None
) -> None:
    found = untold(statement("KR23", *again, name="S-2"), kept, is_named_so=False)
    assert (None if found is None else [line.amount for line in found]) == new


def test_of_two_equal_lines_the_one_that_was_told_is_found_by_its_words() -> None:
    again = statement("KR23", moved(5, remittance="new"), moved(5, remittance="old"))
    (found,) = untold(again, [moved(5, remittance="old")], is_named_so=False) or ()
    assert found.remittance == "new"
    rest = going_on(replace(again, opening=100, closing=110), (found,))
    assert (rest.opening, rest.closing, rest.content_key) == (105, 110, again.content_key)


def test_what_a_bank_calls_a_repetition_may_tell_another_reference() -> None:
    kept, again = [moved(5, reference="a")], statement("KR23", moved(5, reference="b"))
    assert untold(again, kept, is_named_so=False) is None
    assert untold(again, kept, is_named_so=True) == ()
    assert untold(replace(again, duplicate="DUPL"), kept, is_named_so=False) == ()


def test_lines_that_move_nothing_in_all_are_told_again_only_in_the_same_words() -> None:
    kept = [moved(5, remittance="a"), moved(-5, remittance="a")]
    assert untold(statement("KR23", *kept), kept, is_named_so=False) == ()
    assert untold(statement("KR23", *(replace(one, remittance="b") for one in kept)), kept, is_named_so=False) is None
    longer = statement("KR23", *kept, moved(7))
    assert untold(longer, kept, is_named_so=False) is None
    assert [line.amount for line in untold(longer, kept, is_named_so=True) or ()] == [7]


def test_only_what_says_that_its_day_goes_on_may_tell_less() -> None:
    kept, part = [moved(5), moved(7)], statement("KR23", moved(7))
    assert untold(part, kept, is_named_so=False) is None
    assert untold(replace(part, is_last=False), kept, is_named_so=False) == ()
    assert untold(replace(part, is_last=False), [moved(5), moved(8)], is_named_so=False) is None


def of_day(day: int, opening: int, closing: int, *, page: int | None = None, is_last: bool = True) -> Statement:
    made = statement("KR23", moved(closing - opening), opening=opening, name=f"{day}/{opening}/{closing}")
    return replace(made, business_date=date(2026, 2, day), page=page, is_last=is_last)


def test_what_a_statement_may_tell_again_opens_with_it_and_has_no_gap() -> None:
    kept = [of_day(16, 0, 5), of_day(16, 5, 9), of_day(16, 9, 12), of_day(16, 20, 21)]

    def named(opening: int, closing: int, until: int = 4) -> list[list[str]]:
        return [[s.statement_id for s in run] for run in runs(kept[:until], of_day(16, opening, closing))]

    first, second, third = "16/0/5", "16/5/9", "16/9/12"
    assert named(0, 5) == [[first]]
    assert named(0, 9) == [[first, second]]
    assert named(5, 30, until=3) == [[second, third]]
    assert named(5, 9, until=3) == [[second], [second, third]]
    assert named(5, 30) == []
    assert named(7, 9) == []


@pytest.mark.parametrize(
    ("chain", "whole"),
    [
        ([], None),
        ([of_day(16, 0, 5)], 16),
        ([of_day(16, 0, 5, is_last=False)], None),
        ([of_day(13, 0, 5), of_day(16, 5, 9, page=1, is_last=False)], 13),
        ([of_day(13, 0, 5), of_day(16, 5, 9, page=1, is_last=False), of_day(16, 9, 12, page=2)], 16),
        ([of_day(13, 0, 5), of_day(16, 9, 12, page=2)], 13),
        ([of_day(16, 9, 12, page=2)], None),
        ([of_day(13, 0, 5), of_day(16, 5, 12, page=7)], 16),
        ([of_day(13, 0, 5), of_day(16, 7, 12)], 16),
        ([of_day(13, 0, 5), of_day(18, 5, 7)], 13),
        ([of_day(16, 0, 5, is_last=False), of_day(17, 5, 9, is_last=False)], 16),
        ([of_day(16, 0, 5, is_last=False), of_day(17, 6, 9, is_last=False)], None),
    ],
)
def test_a_day_is_whole_when_its_last_statement_is_there_and_no_page_is_missed(
    chain: list[Statement], whole: int | None
) -> None:
    found = last_whole(chain, until=date(2026, 2, 17))
    assert (found.business_date.day if found else None) == whole


def test_an_export_of_its_own_day_is_a_part_of_it_and_one_of_a_later_day_is_the_whole() -> None:
    export = replace(statement("KR23", MOVEMENT), may_go_on=True)
    assert as_of(export, date(2026, 2, 17)) == export
    for made_on in (date(2026, 2, 15), date(2026, 2, 16)):
        part = as_of(export, made_on)
        assert (part.is_last, part.lines) == (False, export.lines)
        assert part.content_key != export.content_key
    said = replace(export, may_go_on=False)
    assert as_of(said, date(2026, 2, 16)) == said
    either = as_of(replace(export, otherwise=export), date(2026, 2, 16)).otherwise
    assert either is not None and not either.is_last


def test_a_statement_that_moves_nothing_follows_before_those_that_do() -> None:
    chain = in_order([of_day(13, 0, 5), of_day(16, 5, 9), of_day(16, 5, 5)])
    assert [(found.opening, found.closing) for found in chain] == [(0, 5), (5, 5), (5, 9)]


def test_a_name_that_was_used_before_is_followed_by_day_page_and_words() -> None:
    page = replace(statement("KR23", MOVEMENT), page=2)
    found = under_its_whole_name(page)
    assert found.statement_id == f"S-1/2026-02-16/2/{page.content_key[:8]}"
    assert found.lines[0].line_id != page.lines[0].line_id
    assert (found.content_key, found.lines[0].amount) == (page.content_key, 500)
