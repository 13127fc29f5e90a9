"""By when what is kept back of investors' money is to be handed on, and which month's sum a line hands on.

Taxes and VAT go to the office, fees and costs to us. A *period* is the months that are handed on together: one, or the
three of a quarter, counted from January; it is named by its last month.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from settlement.domain.books.accounts import Remittance
from settlement.domain.days import ONE_DAY, BankCalendar
from settlement.domain.policy import DueDay


def due_on(
    due_days: Mapping[Remittance, DueDay], kind: Remittance, month: date, *, calendar: BankCalendar
) -> date | None:
    """Return the day by which a month's sum is to be handed on, or None where the policy names none.

    It is the policy's day of the month after the period that the month is in; where the banks are closed on it, the
    next business day (Framework Act on National Taxes, article 5).
    """
    due = due_days.get(kind)
    if due is None:
        return None
    after = last_of(period_of(due_days, kind, month)) + ONE_DAY
    on = min(after + timedelta(days=due.due_day - 1), last_of(after))
    return on if calendar.is_business_day(on) else calendar.next_business_day(on)


def period_of(due_days: Mapping[Remittance, DueDay], kind: Remittance, month: date) -> date:
    """Return the period that a month is in, as the first day of the period's last month."""
    months = due_days[kind].months if kind in due_days else 1
    return month.replace(day=1, month=(month.month - 1) // months * months + months)


def assign(amount: int, owed: Sequence[tuple[date, int]]) -> dict[date, int]:
    """Return how much of a line pays which period's sum; `owed` is what of each is not handed on, oldest first.

    A line that is exactly one period's sum pays it, one that is exactly what the oldest ones come to together pays
    each. Any other is wholly the oldest one's that is not paid, so what it is too much or too little stands in one
    place; money that comes back is the newest one's that was paid too much. The parts make the line; nothing is
    returned where no period asks for it.
    """
    still = [(period, due) for period, due in owed if due]
    for period, due in still:
        if due == amount:
            return {period: amount}
    together = 0
    for place, (_, due) in enumerate(still, start=1):
        together += due
        if together == amount:
            return dict(still[:place])
    asking = [period for period, due in still if due * amount > 0]
    return {asking[0 if amount > 0 else -1]: amount} if asking else {}


def last_of(month: date) -> date:
    """Return the last calendar day of the month that a date is in."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1) - ONE_DAY
