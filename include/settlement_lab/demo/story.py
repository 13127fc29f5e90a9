"""The demo's five days, settled by Airflow one after the other in one process.

For each date: the lender's system and the bank live through the day, the bank's clock moves to six in the morning of
the calendar day after, `SETTLEMENT_NOW` with it, and `daily_settlement` runs. When the last payouts are booked, on the
next business day, `bank_reconciliation` closes what is left; what borrowers pay on that day is left for a person to
settle. Where a day's payouts are above the policy's limit, the user `checker` approves them the way Airflow's own pages
do it.

It runs as a process of its own, because Airflow reads its settings at import. It says how it goes on as JSON lines on
what was its standard output; everything that Airflow prints goes to the log.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import IO, Any

from settlement_lab.demo import world
from settlement_lab.servers import services

WAKE_UP = clock_time(6, 0)
LOOK_SECONDS = 0.5
AFTERWARDS = "afterwards"


def main() -> int:
    """Tell the story in the home named on the command line; 0 if every run succeeded."""
    home = Path(sys.argv[1])
    with _said_and_logged(home / "log" / "story.log") as said, services.running(home) as endpoints:
        lender = world.World()
        dag = _dags()
        threading.Thread(target=_checker(said), daemon=True).start()
        say(said, part="airflow")
        for day in world.SETTLEMENT_DATES:
            live_through(day, lender, endpoints)
            if not _run(said, dag["daily_settlement"], str(day), logical_date=_midnight(day)):
                return 1
        booked_on = world.LEFT_DATES[0]
        live_through(booked_on, lender, endpoints)
        done = _run(said, dag["bank_reconciliation"], AFTERWARDS, logical_date=_midnight(booked_on))
    return 0 if done else 1


def say(said: IO[str], **event: Any) -> None:
    """Say one thing to the process that shows the progress."""
    print(json.dumps(event, ensure_ascii=False), file=said, flush=True)


def live_through(day: date, lender: world.World, endpoints: services.Endpoints) -> None:
    """Let a settlement date happen in the lender's system and at the bank, and the night after it pass."""
    world.load(endpoints.postgres.lending_core_owner_url, lender.facts_until(day))
    world.tell_the_bank(endpoints.bank, lender.bank_events(day))
    _move_to_the_morning_after(day, endpoints)


def _move_to_the_morning_after(day: date, endpoints: services.Endpoints) -> None:
    """Move the bank's clock, and with it what stands for now; on a day that is past already, now stays the bank's."""
    morning = datetime.combine(day + timedelta(days=1), WAKE_UP, world.SEOUL)
    if endpoints.bank.now().date() < morning.date():
        endpoints.bank.advance_to(morning.date())
    at_the_bank = endpoints.bank.now().date()
    os.environ["SETTLEMENT_NOW"] = datetime.combine(at_the_bank, WAKE_UP, world.SEOUL).isoformat()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, clock_time(), UTC)


def _dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if bag.import_errors:
        raise RuntimeError(f"A DAG does not parse: {bag.import_errors}")
    for dag in bag.dags.values():
        for task in dag.tasks:
            task.retries = 0  # here a failure is shown, not waited out
    return dict(bag.dags)


def _checker(said: IO[str]) -> Callable[[], None]:
    """Return what the checker does all day: approve what Airflow asks this user, through the code behind its pages.

    Everything is imported here, before anybody waits: two threads that import Airflow at once stop each other.
    """
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    create_auth_manager()
    checker = SimpleAuthManagerUser(username="checker", role="op")
    asked = (
        select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, HITLDetail)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.state == "awaiting_input", HITLDetail.responded_at.is_(None))
    )
    approval = UpdateHITLDetailPayload(chosen_options=["Approve"])

    def work() -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with create_session() as session:
                for dag_id, run_id, task_id, detail in session.execute(asked).all():
                    if checker.username in {user["id"] for user in detail.assigned_users or []}:
                        update_hitl_detail(dag_id, run_id, task_id, approval, user=checker, session=session)
                        say(said, day=_day_of_run(run_id), state="approved")

    return work


def _day_of_run(run_id: str) -> str:
    """Return the settlement date of a run of the story, which is named after the morning of the day after it."""
    return str(datetime.fromisoformat(run_id.partition("__")[2]).date() - timedelta(days=1))


def _run(said: IO[str], dag: Any, name: str, *, logical_date: datetime) -> bool:
    say(said, day=name, state="running")
    started_at, began = datetime.now(UTC), time.monotonic()
    # Midnight UTC is a bare date to the timetable; the moment after it names the run, the same one every time.
    morning_after = datetime.combine(logical_date.date() + timedelta(days=1), WAKE_UP, world.SEOUL)
    run = dag.test(logical_date=logical_date, run_after=morning_after)
    _correct(run, started_at)
    succeeded = str(run.state) == "success"
    failed = sorted(ti.task_id for ti in run.get_task_instances() if ti.state == "failed")
    seconds = round(time.monotonic() - began, 1)
    say(said, day=name, state="done" if succeeded else "failed", seconds=seconds, failed=failed)
    return succeeded


def _correct(run: Any, started_at: datetime) -> None:
    """Have Airflow's pages say of the run what they say of one that the scheduler ran.

    `dag.test` takes the logical date for the moment it started, and tells no listener in a session.
    """
    import run_notes
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.get_one(DagRun, run.id)
        found.start_date = started_at
        run_notes.RunNotes().on_dag_run_success(found, "success")


@contextmanager
def _said_and_logged(log: Path) -> Iterator[IO[str]]:
    """Keep the standard output for what is said, and send everything else that is printed to the log."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as said, log.open("ab", buffering=0) as output:
        sys.stdout.flush()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        try:
            yield said
        except Exception as error:
            traceback.print_exc()
            say(said, error=f"{type(error).__name__}: {error}")
            raise SystemExit(1) from error


if __name__ == "__main__":
    status = main()
    os._exit(status)  # everything is said and committed; Airflow's own farewell takes seconds and does nothing for us
