"""Where a settlement date stands, as the books say it: for a terminal, for a certificate, and for its message."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from settlement.domain.alerts.day import BreakTotal, CurrencyTotals, DayCompleted, MatchTotals, PayoutTotals
from settlement.domain.alerts.event import Money
from settlement.domain.alerts.expectations import Deadline
from settlement.domain.payments.state import PayoutState
from settlement.ports.books import Books
from settlement.ports.breaks import Break
from settlement.ports.days import DayRun
from settlement.ports.services import Notifications, Services

TOTALS = (
    "repayment_count",
    "received_amount",
    "distributed_amount",
    "fee_amount",
    "vat_amount",
    "national_tax_amount",
    "local_tax_amount",
    "cost_amount",
    "credit_amount",
    "quarantined_amount",
    "refunded_amount",
)

_PAYOUT_TOTALS = {
    PayoutState.PREPARED: "prepared",
    PayoutState.APPROVED: "prepared",
    PayoutState.BOOKED: "paid",
    PayoutState.RETURNED: "rejected",
    PayoutState.REJECTED: "rejected",
    PayoutState.UNKNOWN: "unknown",
}
"""Under which total of the day's message a payout of this state counts; any other is in transit at the bank."""

_TOLD_APART = ("missing_at_bank",)
"""Causes whose breaks are told by their kinds of subjects: a receipt that the bank lacks is not a payout."""


def deadline(services: Notifications) -> Deadline:
    """Return when settlement dates must be settled, by the policy."""
    return Deadline(settled_by=services.policy.deadlines.settled_by, timezone=services.policy.timezone)


def at_newest(books: Books, day: DayRun) -> DayRun:
    """Return what a run works on, at the newest revision of its date: a run that has restated it goes on with that."""
    found = books.days.find(day.settlement_date)
    return replace(day, revision=max(day.revision, found.revision)) if found else day


def status(services: Services, books: Books, on: date) -> dict[str, Any]:
    """Return where a settlement date stands, as plain JSON values: state, totals by currency, payouts, breaks."""
    found = books.days.find(on)
    return {
        "settlement_date": on.isoformat(),
        "state": found.state.value if found else "absent",
        "revision": found.revision if found else 0,
        "failure": found.failure if found else None,
        "totals": {row.currency: {name: getattr(row, name) for name in TOTALS} for row in books.days.totals(on)},
        "payouts": {
            f"{sums.currency} {sums.state}": {"count": sums.count, "amount": sums.amount}
            for sums in books.days.payout_sums(on)
        },
        "breaks": [
            {
                "break_id": b.break_id,
                "cause": b.cause,
                "subject": f"{b.subject_kind} {b.subject_id}",
                "currency": b.currency,
                "amount": b.amount,
                "opened_on": b.opened_on.isoformat(),
                "age_business_days": b.age_business_days,
            }
            for b in _breaks(books, on)
        ],
        "now_is_set": services.is_now_set,
    }


def completed(services: Services, books: Books, on: date) -> DayCompleted:
    """Return what a date came to, as the books stand: what its message says, in Slack and in the terminal."""
    found = books.days.find(on)
    if found is None:
        return DayCompleted(settlement_date=on, state="none")
    run = books.days.run(found.run_id)
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for of_state in books.days.payout_sums(on):
        kind = _PAYOUT_TOTALS.get(of_state.state, "in_transit")
        sums[of_state.currency][f"{kind}_count"] += of_state.count
        sums[of_state.currency][f"{kind}_amount"] += of_state.amount
    holds = books.payouts.holds() if _is_newest(books, on) else books.payouts.holds().iloc[:0]
    for currency, amount in zip(holds["currency"], holds["amount"].tolist(), strict=True):
        sums[currency]["held_count"] += 1
        sums[currency]["held_amount"] += amount
    held = books.days.controls_of(on)
    by_cause: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for opened in _breaks(books, on):
        kind = opened.subject_kind if opened.cause in _TOLD_APART else ""
        by_cause[(opened.cause, kind, opened.currency or "")].append(abs(opened.amount or 0))
    return DayCompleted(
        settlement_date=on,
        backfill_id=run.backfill_id if run else None,
        revision=max(1, found.revision),
        run_id=found.run_id,
        state=found.state.value,
        completed_at=found.settled_at,
        deadline_at=deadline(services).of(on),
        totals=tuple(
            CurrencyTotals(currency=row.currency, **{name: getattr(row, name) for name in TOTALS})
            for row in books.days.totals(on)
        ),
        payouts=tuple(PayoutTotals(currency=currency, **amounts) for currency, amounts in sorted(sums.items())),
        matches=tuple(MatchTotals(**asdict(row)) for row in books.bank_lines.match_totals(on)),
        breaks=tuple(
            BreakTotal(
                cause=cause,
                subject_kind=kind,
                count=len(amounts),
                amount=Money(amount=sum(amounts), currency=currency),
            )
            for (cause, kind, currency), amounts in sorted(by_cause.items())
        ),
        controls_passed=sum(held.values()),
        controls_total=len(held),
    )


def _breaks(books: Books, on: date) -> list[Break]:
    """Return the open breaks of a date: those opened by then or about a payout of it; all of the newest."""
    found = books.breaks.open()
    if _is_newest(books, on):
        return found
    payouts = set(books.payouts.find(on)["payout_id"])
    return [b for b in found if b.opened_on <= on or (b.subject_kind == "payout" and b.subject_id in payouts)]


def _is_newest(books: Books, on: date) -> bool:
    """Tell whether no later date was opened: what is held and open now is then this date's."""
    newest = books.days.newest()
    return newest is None or on >= newest
