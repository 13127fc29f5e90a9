"""By when what is kept back of investors' money is to be handed on: taxes and VAT to the office, fees and costs to us.

A *period* is the months that are handed on together: one, or the three of a quarter, counted from January.
"""

from collections.abc import Mapping
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
    ends = (month.month - 1) // due.months * due.months + due.months
    after = last_of(month.replace(day=1, month=ends)) + ONE_DAY
    on = min(after + timedelta(days=due.due_day - 1), last_of(after))
    return on if calendar.is_business_day(on) else calendar.next_business_day(on)


def last_of(month: date) -> date:
    """Return the last calendar day of the month that a date is in."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1) - ONE_DAY
