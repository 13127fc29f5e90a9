"""One investor's month: what was owed before, what was earned, what was paid out, and what is owed after it."""

from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from settlement.domain.errors import BrokenInvariant, Refused
from settlement.ports.books import Books
from settlement.stages import explain

EARNED = ("repayment_distributed", "credit_applied", "repayment_reversed")
PAID = ("payout_prepared", "payout_rejected", "payout_returned")
TAKEN_OVER = ("opening_position",)
"""The events of the journal that earn, that pay out or give back, and that take over what was owed before, whenever in
the month; every other is somebody's correction."""


def investor_month(books: Books, investor_id: str, month: date) -> dict[str, Any]:
    """Return an investor's month as the books stand now, in whole minor units; `month` is any date in it.

    A month is its settlement dates: what a date earned belongs to it whenever it was corrected, and a payout to the
    date whose run made it. `balances` say by currency what was owed before (`opening`), what was earned, net, what was
    paid out less what came back of it (`paid_out`), what people corrected (`corrected`), and what is owed after
    (`closing` = opening + earned - paid_out + corrected). `earnings` are by date, loan and component, `totals` their
    sums by currency, `corrections` what else moved the account, by date and event, and `days_open` the dates of the
    month that are settled and not closed: they may still change.

    Raises Refused: the books know nothing of the investor in this month.
    Raises BrokenInvariant: shares and journal differ.
    """
    first = month.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    earnings = books.explain.earnings(investor_id, first, last)
    payouts = books.explain.payouts(investor_id, first, last)
    movements = books.explain.movements(investor_id, last)
    if not earnings and not movements:
        raise Refused(
            f"The books know nothing of investor [{investor_id}] until [{last}]: look at the id, or for another month"
        )
    totals = explain.sums(earnings)
    balances: dict[str, Counter[str]] = defaultdict(Counter)
    for moved in movements:
        balances[moved.currency][_place(moved.event, is_before=moved.settlement_date < first)] -= moved.amount
    for currency in sorted(balances.keys() | totals.keys()):
        earned, net = balances[currency]["earned"], totals.get(currency, {}).get("net_amount", 0)
        if earned != net:
            raise BrokenInvariant(
                f"The account of investor [{investor_id}] was credited [{earned} {currency}] for [{first:%Y-%m}], and"
                f" the shares come to [{net}]: `settlement verify` names what is broken"
            )
    return {
        "investor_id": investor_id,
        "month": f"{first:%Y-%m}",
        "first": first.isoformat(),
        "last": last.isoformat(),
        "days_open": [on.isoformat() for on in books.days.unclosed() if first <= on <= last],
        "balances": [_balance(currency, sums) for currency, sums in sorted(balances.items())],
        "totals": [{"currency": currency, **sums} for currency, sums in sorted(totals.items())],
        "earnings": [asdict(earning) for earning in earnings],
        "payouts": [asdict(payout) for payout in payouts],
        "corrections": [
            asdict(moved) | {"amount": -moved.amount}
            for moved in movements
            if moved.settlement_date >= first and moved.event not in EARNED + PAID + TAKEN_OVER
        ],
    }


def _place(event: str, *, is_before: bool) -> str:
    """Name the line of the balance that an event of the journal belongs to."""
    if is_before or event in TAKEN_OVER:
        return "opening"
    return "earned" if event in EARNED else "paid_out" if event in PAID else "corrected"


def _balance(currency: str, sums: Counter[str]) -> dict[str, Any]:
    lines = {name: sums[name] for name in ("opening", "earned", "paid_out", "corrected")}
    return {"currency": currency, **lines, "paid_out": -lines["paid_out"], "closing": sum(lines.values())}
