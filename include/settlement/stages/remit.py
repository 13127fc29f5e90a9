"""Which month's sum was handed on by which line, and what of it was not, was too much, or was never kept back."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from settlement.domain import remittances
from settlement.domain.books.accounts import Remittance
from settlement.domain.breaks import Finding
from settlement.ports.bank_lines import KeptStatement
from settlement.ports.books import Books
from settlement.ports.services import Services

CAUSE = "remittance_differs"

Asked = tuple[Remittance, str]
"""What is handed on together: its kind and its currency."""


def match_remittances(services: Services, books: Books, *, now: datetime) -> None:
    """Match every line that hands something on and pays no month's sum so far, in the transaction of these books.

    A period is there once its last month is certified. A line is offered those that had begun when it was booked, and
    waits where none of them asks for it.
    """
    lines = books.months.unmatched()
    if not lines:
        return
    owed = _owed(services, books)
    for line in lines:
        open_ = owed[line.kind, line.currency]
        begun = [
            (on, due) for on, due in sorted(open_.items()) if _begins(services, line.kind, on) <= line.booking_date
        ]
        parts = remittances.assign(line.amount, begun)
        books.months.keep_remittances(line, parts, now=now)
        for period, amount in parts.items():
            open_[period] -= amount


def findings(services: Services, books: Books, whole: KeptStatement | None) -> list[Finding]:
    """Return the sums that are due and not handed on, or not as they are, and accounts that gave more than they got.

    Due is a sum when the statement of its day is there; what was handed on too much is found at once.
    """
    due_days, calendar = services.policy.remittances, services.calendar.calendar
    found = []
    for (kind, currency), open_ in sorted(_owed(services, books).items()):
        for period, amount in sorted(open_.items()):
            due = remittances.due_on(due_days, kind, period, calendar=calendar)
            is_due = due is not None and whole is not None and whole.business_date >= due
            if (amount > 0 and is_due) or (amount < 0 and due is not None):
                found.append(_finding(f"{period:%Y-%m}:{kind}:{currency}", currency, amount, {"due_on": due}))
    for kind in Remittance:
        for (account, currency), amount in sorted(books.journal.balances(kind.account.name).items()):
            if account == kind.account.name and amount > 0:
                found.append(_finding(f"{kind}:{currency}", currency, -amount, {"account": account}))
    return found


def of_month(services: Services, books: Books, month: date) -> list[dict[str, Any]]:
    """Return what was kept back of a certified month and what lines have handed on for it by now, by kind.

    What was handed on of a period of several months stands at the last one.
    """
    due_days, calendar = services.policy.remittances, services.calendar.calendar
    return [
        {
            "kind": str(row.kind),
            "currency": row.currency,
            "amount": row.amount,
            "remitted_amount": row.remitted_amount,
            "due_on": remittances.due_on(due_days, row.kind, row.month, calendar=calendar),
        }
        for row in books.months.sums()
        if row.month == month.replace(day=1)
    ]


def _owed(services: Services, books: Books) -> dict[Asked, Counter[date]]:
    """Return what of each period is not handed on, by kind and currency; a period lacks while its last month does."""
    sums = books.months.sums()
    certified = {row.month for row in sums}
    owed: dict[Asked, Counter[date]] = defaultdict(Counter)
    for row in sums:
        period = remittances.period_of(services.policy.remittances, row.kind, row.month)
        if period in certified:
            owed[row.kind, row.currency][period] += row.amount - row.remitted_amount
    return owed


def _begins(services: Services, kind: Remittance, period: date) -> date:
    """Return the first day of a period's first month."""
    due = services.policy.remittances.get(kind)
    return period.replace(month=period.month - (due.months if due else 1) + 1)


def _finding(subject_id: str, currency: str, amount: int, evidence: Mapping[str, object]) -> Finding:
    return Finding(
        cause=CAUSE,
        subject_kind="remittance",
        subject_id=subject_id,
        currency=currency,
        amount=amount,
        evidence=evidence,
    )
