"""Refunds that are not paid: which credits their money goes back to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPart:
    """What a refund took of the held credit of one repayment, in whole minor units."""

    repayment_id: str
    amount: int


def unpaid_parts(parts: Sequence[RefundPart], unpaid_amount: int) -> Iterator[RefundPart]:
    """Yield the parts that make up what is unpaid of a refund: what was taken last goes back first.

    `parts` are in the order in which they were taken; if they come to less than is unpaid, all of them go back.
    """
    left = unpaid_amount
    for part in reversed(parts):
        amount = min(part.amount, left)
        left -= amount
        if amount > 0:
            yield RefundPart(repayment_id=part.repayment_id, amount=amount)
