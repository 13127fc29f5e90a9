"""The chain of an account's statements: each opens where the one before it closed, or the gap has an amount.

Several statements of one day (pages, or a bank that sends more than one) need not say in which order they follow; then
their balances do.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, TypeVar

Row = TypeVar("Row", bound=Mapping[str, Any])


def in_order(statements: Sequence[Row]) -> list[Row]:
    """Return statements that come by business date and number in the order in which their balances follow."""
    ordered: list[Row] = []
    for _, of_day in groupby(statements, key=lambda statement: statement["business_date"]):
        left = list(of_day)
        if len(left) > 1 and not ordered:
            left = _from_the_first(left)
        while left:
            closing = ordered[-1]["closing"] if ordered else left[0]["opening"]
            following = next((found for found in left if found["opening"] == closing), left[0])
            left.remove(following)
            ordered.append(following)
    return ordered


def gaps(statements: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return every statement that does not open where the one before it closed, with the one before it."""
    return [(before, after) for before, after in pairwise(statements) if after["opening"] != before["closing"]]


def _from_the_first(of_day: list[Row]) -> list[Row]:
    """Put the one first that no other of the day leads to."""
    closings = [statement["closing"] for statement in of_day]
    first = next((s for s in of_day if s["opening"] not in closings), of_day[0])
    return [first, *(statement for statement in of_day if statement is not first)]
