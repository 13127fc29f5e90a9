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

    A dry run has a report of its own, of what it `computed` (see `compute.distribute`). A run that was cleared says
    which conf it keeps.

    Raises Refused: a dry run has computed nothing.
    """
    if day.dry_run:
        return _dry_run(services, day, computed=computed, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        before = books.days.find(day.settlement_date)
        assert before is not None
        is_restated = before.revision > day.revision
        day = standing.at_newest(books, day)
        breaks = books.breaks.open()
        waiting = books.payouts.find(day.settlement_date, states=UNSENT)
        unknown = books.payouts.find(day.settlement_date, states=(PayoutState.UNKNOWN,))
        state = before.state
        # What other days opened or closed since is theirs to tell: one neither restated nor paid for stays as it is.
        has_moved = is_restated or books.payouts.has_paid(day.run_id)
        already = before.settled_at is not None and state.is_settled and not has_moved
        if day.transfer and state is not DayState.CLOSED and waiting.empty and not already:
            state = DayState.SETTLED_WITH_BREAKS if breaks or not unknown.empty else DayState.SETTLED
            books.days.set_state(day.settlement_date, state, now=now)
        books.days.end_run(day, outcome="already_settled" if already else state.value, now=now)
        status = standing.status(services, books, day.settlement_date)
        if day.backfill_id or not already:  # a backfill shows each of its days
            notify.day_completed(services, books, day.settlement_date, now=now)
            if not day.backfill_id:  # a backfill's thread is about many days, and shows each as a row
                _attach_totals(services, books, day, now=now)
    return status | {"already_settled": already} | _kept_conf(day)


def _dry_run(services: Services, day: DayRun, *, computed: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """Say what a dry run computed: what would be booked, and owed after it; nothing was booked, paid or sent."""
    if not computed:
        raise Refused(f"The dry run [{day.run_id}] of [{day.settlement_date}] has computed nothing: trigger it again")
    with services.ledger.books() as books:
        notify.day_dry_run(books, day, computed=computed, now=now)
    return {
        "dry_run": True,
        "settlement_date": day.settlement_date.isoformat(),
        "said": f"DRY RUN of [{day.settlement_date}]: nothing was settled, booked or paid",
        "is_settled": "already" in computed,
        "totals": computed["totals"],
        "owed": computed["owed"],
    } | _kept_conf(day)


def _kept_conf(day: DayRun) -> dict[str, str]:
    """Say which conf a run keeps that was run again: what its backfill was meant to ask may be something else."""
    if day.kept_conf is None:
        return {}
    warning = (
        f"The run was run again with the conf {day.kept_conf}, which Airflow keeps unless a backfill brings another."
        """ To ask something else, trigger the date by hand, or start the backfill with, for instance,"""
        """ --dag-run-conf '{"dry_run": false}'"""
    )
    log.warning("conf_kept", settlement_date=day.settlement_date.isoformat(), run_id=day.run_id, conf=day.kept_conf)
    return {"kept_conf": day.kept_conf, "warning": warning}


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
