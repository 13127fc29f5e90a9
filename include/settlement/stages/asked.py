"""What a run was asked to do, read strictly: an unknown parameter is refused, never passed over (rules, section 9).

A scheduled run and one of a backfill have a date of their own, the one whose window their data interval is. A manual
run has the date of its parameter `settlement_date`, or else the one that its logical date names: midnight UTC names
that date, any other instant its date in the policy's zone; its data interval is ignored, since Airflow's command line
infers it from the clock. The day on which a run is triggered names none while it cannot be settled yet: the trigger
form fills the logical date with the present moment.

Callbacks of Airflow read it too, to tell of a failure, so nothing here imports what is slow to import.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from settlement.domain.days import SettlementCalendar
from settlement.domain.errors import NotASettlementDate, RequestRefused
from settlement.ports.days import AirflowRun, RunRequest

if TYPE_CHECKING:
    from settlement.ports.services import Notifications

PARAMETERS = ("settlement_date", "dry_run", "transfer", "reason")
"""Everything that a run of `daily_settlement` can be asked."""

ADDED_BY_AIRFLOW = frozenset({"openlineage"})
"""What TriggerDagRunOperator puts into a run's conf by itself."""

HAVE_AN_INTERVAL = frozenset({"scheduled", "backfill"})
"""The types of runs whose data interval is the window of the date that they settle."""


def request_of(run: AirflowRun, *, calendar: SettlementCalendar, now: datetime) -> RunRequest:
    """Return what a run of `daily_settlement` was asked to do; without a settlement date the stage chooses one.

    Raises RequestRefused: a parameter is unknown, has a value of another kind, or differs between the run's conf and
        its params; the date asked for is not the run's own, or the one that its logical date names cannot be settled.
    """
    check_parameters(run, known=PARAMETERS)
    asked = _date("settlement_date", run.params.get("settlement_date"))
    # Without the reason, which is a person's text: what is kept is told to people, and decides what the run does.
    conf = {key: value for key, value in run.conf.items() if key in PARAMETERS and key != "reason"}
    return RunRequest(
        settlement_date=_settlement_date(run, asked, calendar=calendar, now=now),
        run_id=run.run_id,
        run_type=run.run_type,
        triggered_by=run.triggered_by,
        reason=_text("reason", run.params.get("reason")) or (run.run_id if run.run_type in HAVE_AN_INTERVAL else None),
        dry_run=_flag("dry_run", run.params.get("dry_run", False)),
        transfer=_flag("transfer", run.params.get("transfer", True)),
        clear_number=run.clear_number,
        kept_conf=json.dumps(conf, sort_keys=True) if conf and run.clear_number else None,
    )


def check_parameters(run: AirflowRun, *, known: tuple[str, ...] = ()) -> None:
    """Prove that a run's conf holds known parameters only, and that the run's params have the values of its conf.

    Raises RequestRefused: naming the key, its value and the parameters that there are.
    """
    there_are = f"there are [{', '.join(known)}]" if known else "there are none"
    for key, value in run.conf.items():
        if key in ADDED_BY_AIRFLOW:
            continue
        if key not in known:
            raise RequestRefused(
                f"The run was asked [{key}] = [{json.dumps(value, default=str)}], which is no parameter: {there_are}."
                " Nothing was done. Trigger again with the right name"
            )
        if run.params.get(key) != value:
            raise RequestRefused(
                f"The run's conf says [{key}] = [{json.dumps(value, default=str)}] and its params say"
                f" [{json.dumps(run.params.get(key), default=str)}]: {there_are}. Nothing was done. Trigger again with"
                " a value that Airflow takes over (core.dag_run_conf_overrides_params must be on)"
            )


def date_of(services: Notifications, run: AirflowRun, *, now: datetime) -> date | None:
    """Return the date that a run took on, or else the one that it names, settleable or not: to tell of its failure.

    None: it took none on and names none, or what it was asked cannot be read as a date.
    """
    with services.ledger.books() as books:
        if opened := books.days.run(run.run_id):
            return opened.settlement_date
    asked = run.conf.get("settlement_date") or run.params.get("settlement_date")
    try:
        if asked:
            return date.fromisoformat(asked)
    except (TypeError, ValueError):
        return None
    return _own(run, services.calendar) or _of_logical_date(run, calendar=services.calendar, now=now)


def _settlement_date(
    run: AirflowRun, asked: date | None, *, calendar: SettlementCalendar, now: datetime
) -> date | None:
    own = _own(run, calendar)
    if own is not None:
        if asked not in (None, own):
            raise RequestRefused(
                f"The run was asked for settlement_date [{asked}] and is the run of [{own}]: a {run.run_type} run has"
                " its own date. Nothing was done. Leave settlement_date empty, or trigger a run by hand for that date"
            )
        return own
    if asked is not None:
        return asked
    named = _of_logical_date(run, calendar=calendar, now=now)
    if named is None:
        return None
    try:
        calendar.check(named, now=now)
    except NotASettlementDate as error:
        raise RequestRefused(
            f"The run's logical date [{run.logical_date}] names [{named}]. {error} Nothing was done. Name"
            ' the date to settle: {"settlement_date": "YYYY-MM-DD"}'
        ) from None
    return named


def _own(run: AirflowRun, calendar: SettlementCalendar) -> date | None:
    if run.run_type not in HAVE_AN_INTERVAL or run.interval is None:
        return None
    from_at, until_at_exclusive = run.interval
    if run.logical_date not in (None, from_at):
        # A backfill took a run over that the command line had begun, whose interval was inferred from the clock.
        return calendar.settlement_date_of(run.logical_date)
    return calendar.settlement_date_of_window(until_at_exclusive) if from_at < until_at_exclusive else None


def _of_logical_date(run: AirflowRun, *, calendar: SettlementCalendar, now: datetime) -> date | None:
    """Return the date that a manual run's logical date names; the day of the trigger names none before its cut-off.

    Whether that had passed is asked as of the trigger, so that a run which is cleared days later still means what it
    meant; `now` lies before the trigger where SETTLEMENT_NOW holds it.
    """
    if run.logical_date is None or run.run_type in HAVE_AN_INTERVAL:
        return None
    named, asked_at = calendar.date_named_by(run.logical_date), min(run.triggered_at, now)
    is_today = named in (calendar.local_date(run.triggered_at), calendar.local_date(asked_at))
    return None if is_today and named != calendar.newest_settleable(asked_at) else named


def _date(name: str, value: Any) -> date | None:
    if value is None or value == "":
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise RequestRefused(f"[{name}] = [{value}] is not a date: write it as 2026-02-16. Nothing was done") from None


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise RequestRefused(f"[{name}] = [{value}] is neither true nor false. Nothing was done")
    return value


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise RequestRefused(f"[{name}] = [{value}] is not a text. Nothing was done")
    return value
