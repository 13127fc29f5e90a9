"""The watch outside Airflow: it knows the calendar and the books, sees what did not happen, and delivers alerts.

It runs beside Airflow, not in it, so that a dead scheduler, a paused DAG or a DAG that does not parse is heard of.
Every few seconds it delivers what the outbox holds; every minute it compares the books with the calendar.
"""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import NoReturn

import structlog

from settlement.domain.alerts import expectations
from settlement.domain.alerts.day import Step
from settlement.domain.alerts.event import Event
from settlement.domain.days import DayState
from settlement.ports.days import Day
from settlement.ports.services import Services
from settlement.stages import notify, standing

log = structlog.get_logger(__name__)

DELIVER_EVERY_SECONDS = 2.0
LOOK_EVERY_SECONDS = 60.0
BACKFILL_IS_OVER_AFTER = timedelta(days=1)
"""A backfill whose last run nobody heard end (a person marked it failed) is over after so long a silence."""


def run(
    services: Services,
    *,
    now: Callable[[], datetime],
    airflow: Callable[[], str | None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> NoReturn:
    """Watch until the process is ended.

    `airflow` answers why Airflow cannot run a day, or None. What fails meanwhile (the database, Slack) is logged and
    tried again: a watch that dies of what it watches is of no use.
    """
    looked_at = float("-inf")
    seen: dict[date, str | None] = {}
    while True:
        try:
            if time.monotonic() - looked_at >= LOOK_EVERY_SECONDS:
                once(services, now=now(), airflow=airflow, seen=seen)
                looked_at = time.monotonic()
            else:
                _deliver(services, now())
        except Exception as error:
            log.error("watch.cannot_look", kind=type(error).__name__)
        sleep(DELIVER_EVERY_SECONDS)


def once(
    services: Services,
    *,
    now: datetime,
    airflow: Callable[[], str | None] | None = None,
    seen: dict[date, str | None] | None = None,
) -> list[Event]:
    """Deliver what waits, look, deliver what there is to tell of it, and return what is amiss."""
    queue_depth = _deliver(services, now)
    amiss = look(services, now=now, airflow=airflow, seen=seen, queue_depth=queue_depth)
    _deliver(services, now)
    return amiss


def look(
    services: Services,
    *,
    now: datetime,
    airflow: Callable[[], str | None] | None = None,
    seen: dict[date, str | None] | None = None,
    queue_depth: int = 0,
) -> list[Event]:
    """Compare the books with the calendar, record what there is to tell, and return what is amiss.

    `seen` keeps the states of the last look: what has not moved is not asked to be resolved again.
    """
    seen = {} if seen is None else seen
    dates = expectations.expected_dates(services.calendar, now=now)
    with services.ledger.books(read_only=True) as books:
        days = {on: books.days.find(on) for on in dates}
        breaks = books.breaks.open()
    states = {on: str(day.state) if day else None for on, day in days.items()}
    is_any_absent = any(state is None for state in states.values())
    amiss = expectations.findings(
        states,
        calendar=services.calendar,
        deadline=standing.deadline(services),
        airflow=airflow() if airflow and is_any_absent else None,
        now=now,
        failed_in={on: step for on, day in days.items() if day and (step := _failed_in(day))},
    )
    over = [event for on, state in states.items() if seen.get(on) != state for event in expectations.ended(on, state)]
    told = expectations.daily(
        states=states, breaks=breaks, queue_depth=queue_depth, calendar=services.calendar, now=now
    )
    with services.ledger.books() as books:
        for event in (*over, *amiss, *told):
            books.outbox.record(event, now=now)
    with services.ledger.books(read_only=True) as books:
        silent = books.backfills.silent(since=now - BACKFILL_IS_OVER_AFTER)
    for backfill_id in silent:
        notify.end_backfill(services, backfill_id, now=now)
    seen.update(states)
    return amiss


def _failed_in(day: Day) -> str | None:
    """Return the step in which a date failed, by the task that its failure names."""
    step = (day.failure or "").partition(".")[0]
    return step if day.state is DayState.FAILED and step in tuple(Step) else None


def _deliver(services: Services, now: datetime) -> int:
    """Send what is due and return how many alerts are left."""
    return int(services.alerts.deliver(now=now).pending)
