"""The note of a run of `daily_settlement` in Airflow's pages: the settlement date that it is about.

A scheduled run's id names its date; the id of a backfill's run and of one by hand name an instant. What the run itself
says is known when it starts: a date of its own, or the one that it was asked for. A run by hand that was asked for none
takes the one that its first task chooses, and has its note once it has ended. A note that a person wrote stays.

It runs in the scheduler, in the transaction in which the run's state changes. What fails here is logged by Airflow and
stops nothing.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

DAG_ID, FIRST_TASK = "daily_settlement", "extract.open_day"
OURS = "Settlement date "
HAVE_AN_INTERVAL = ("scheduled", "backfill")


class RunNotes:
    """Listens to the states of runs."""

    @hookimpl
    def on_dag_run_running(self, dag_run: DagRun, msg: str) -> None:
        if dag_run.dag_id == DAG_ID:
            note(dag_run, of_request(dag_run))

    @hookimpl
    def on_dag_run_success(self, dag_run: DagRun, msg: str) -> None:
        if dag_run.dag_id == DAG_ID:
            note(dag_run, of_first_task(dag_run))

    @hookimpl
    def on_dag_run_failed(self, dag_run: DagRun, msg: str) -> None:
        self.on_dag_run_success(dag_run, msg)


def note(dag_run: Any, on: str | None) -> None:
    """Give the run its note, unless no date is known or a person wrote one."""
    if on and (not dag_run.note or dag_run.note.startswith(OURS)):
        dag_run.note = f"{OURS}{on}"


def of_request(dag_run: Any) -> str | None:
    """Return the date of a run that has one before it begins: that of its window, or the one it was asked for."""
    if str(dag_run.run_type) in HAVE_AN_INTERVAL:
        window_end = dag_run.data_interval_end
        on = dag_run.dag.timetable.days.settlement_date_of_window(window_end) if window_end else None
        return on.isoformat() if on else None
    asked = (dag_run.conf or {}).get("settlement_date")
    try:
        return date.fromisoformat(asked).isoformat() if asked else None
    except (TypeError, ValueError):
        return None  # the first task refuses it by name


def of_first_task(dag_run: Any) -> str | None:
    """Return the date that the run's first task took on, if it came so far."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return None
    opened = session.scalar(
        select(XComModel).where(
            XComModel.dag_run_id == dag_run.id, XComModel.task_id == FIRST_TASK, XComModel.key == "return_value"
        )
    )
    value = XComModel.deserialize_value(opened) if opened else None
    return str(value["settlement_date"]) if isinstance(value, dict) and "settlement_date" in value else None


class RunNotesPlugin(AirflowPlugin):
    name = "run_notes"
    listeners = [RunNotes()]
