"""The money bridge: where a day's money came from and went to, as numbers that add up and as a drawing of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from settlement.domain.books import accounts
from settlement.pages.query import Row

BOOKED_IN: Mapping[str, tuple[str, int]] = {
    "received": (accounts.RECEIPTS_IN_TRANSIT.name, 1),
    "cost": (accounts.COST_RECOVERED.name, -1),
    "credit": (accounts.BORROWER_CREDIT.prefix, -1),
    "refunded": (accounts.BORROWER_PAYABLE.prefix, -1),
    "quarantined": (accounts.REPAYMENTS_UNALLOCATED.name, -1),
    "fee": (accounts.FEE_INCOME.name, -1),
    "vat": (accounts.VAT_PAYABLE.name, -1),
    "national_tax": (accounts.TAX_PAYABLE_NATIONAL.name, -1),
    "local_tax": (accounts.TAX_PAYABLE_LOCAL.name, -1),
    "distributed": (accounts.INVESTOR_PAYABLE.prefix, -1),
}
"""By total: how the names of its accounts begin, and the sign of a posting that adds to it. In the bridge's order."""

CHANGES = tuple(BOOKED_IN)
WHOLE, *PARTS = BOOKED_IN
"""What came in, and what it went to."""

WIDTH, BAR, GAP, LABELS = 720, 22, 8, 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of the drawing: where it begins and how long it is, in the drawing's units."""

    name: str
    amount: int
    x: int
    y: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """One currency's money of a day. `left` is what the parts do not explain: zero, or the day is wrong."""

    currency: str
    amounts: Mapping[str, int]
    bars: tuple[Bar, ...]
    height: int
    left: int


def of_totals(row: Row) -> Bridge:
    """Return the bridge of a row of totals; its parts stand one after the other below what was received."""
    amounts = {name: int(row[f"{name}_amount"]) for name in BOOKED_IN}
    received = amounts[WHOLE]
    scale = max(abs(received), sum(abs(amounts[name]) for name in PARTS), 1)
    bars, at = [], 0
    for place, (name, amount) in enumerate(amounts.items()):
        start = 0 if name == WHOLE else min(at, at + amount)
        bars.append(
            Bar(
                name=name,
                amount=amount,
                x=LABELS + max(0, start) * (WIDTH - LABELS) // scale,
                y=place * (BAR + GAP),
                width=max(1 if amount else 0, abs(amount) * (WIDTH - LABELS) // scale),
            )
        )
        at += 0 if name == WHOLE else amount
    return Bridge(
        currency=row["currency"],
        amounts=amounts,
        bars=tuple(bars),
        height=len(bars) * (BAR + GAP),
        left=received - at,
    )
