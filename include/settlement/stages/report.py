"""Reporting how the day ended: its state in the books, its totals and its sheets to people."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from settlement.domain.days import DayState
from settlement.domain.errors import Refused
from settlement.domain.payments.state import UNSENT, PayoutState
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import day_report, notify, standing

log = structlog.get_logger(__name__)


def report(
    services: Services, day: DayRun, *, computed: Mapping[str, Any] | None = None, now: datetime
) -> dict[str, Any]:
    """Say how the day ended: its state in the books, its totals to people, and the end of its run.

    A dry run has a report of its own: `computed` is what it computed, and nothing of it was booked.
    """
    if day.dry_run:
        return dry_run(services, day, computed=computed or {}, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        before = books.days.find(day.settlement_date)
        assert before is not None
        breaks = books.breaks.open()
        waiting = books.payouts.find(day.settlement_date, states=UNSENT)
        unknown = books.payouts.find(day.settlement_date, states=(PayoutState.UNKNOWN,))
        state = before.state
        # What other days opened or closed since is theirs to tell: a settled day that this run paid nothing for stays.
        already = before.settled_at is not None and state.is_settled and not books.payouts.has_paid(day.run_id)
        if day.transfer and state is not DayState.CLOSED and waiting.empty and not already:
            state = DayState.SETTLED_WITH_BREAKS if breaks or not unknown.empty else DayState.SETTLED
            books.days.set_state(day.settlement_date, state, now=now)
        books.days.end_run(day, outcome="already_settled" if already else state.value, now=now)
        status = standing.status(services, books, day.settlement_date)
        if day.backfill_id or not already:  # a backfill shows each of its days
            notify.day_completed(services, books, day.settlement_date, now=now)
            if not day.backfill_id:  # a backfill's thread is about many days, and shows each as a row
                _attach_totals(services, books, day, now=now)
    return status | {"already_settled": already}


def dry_run(services: Services, day: DayRun, *, computed: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Say what a dry run computed: what would change and be owed; nothing was booked, paid or sent.

    A run that is run again keeps the conf that its creation brought (Airflow takes no other over), and says so.
    """
    said: dict[str, Any] = {
        "settlement_date": day.settlement_date.isoformat(),
        "dry_run": True,
        "said": f"DRY RUN of [{day.settlement_date}]: nothing was settled, booked or paid",
        "totals": computed.get("totals", {}),
        "owed": computed.get("owed", {}),
    }
    if day.kept_conf:
        said["kept_conf"] = day.kept_conf
        said["said"] += (
            f". This run was run again and keeps the conf of its creation, {day.kept_conf}. To settle the date, start"
            """ the backfill with --dag-run-conf '{"dry_run": false}'"""
        )
    log.warning("dry_run", **said)
    return said


def _attach_totals(services: Services, books: Books, day: DayRun, *, now: datetime) -> None:
    """Put the sheets of the day that name nobody into its thread; what cannot be made of them stops nothing."""
    on = day.settlement_date
    try:
        totals = day_report.totals_of_day(services, books, on)
    except Refused as refused:
        log.warning("report_not_attached", settlement_date=on.isoformat(), reason=str(refused))
        return
    books.outbox.attach(
        settlement_date=on,
        key=f"sheets:{totals.revision}",
        name=f"{totals.name}.xlsx",
        title=f"{on.isoformat()} r{totals.revision}",
        content=services.write_report(totals),
        now=now,
    )
