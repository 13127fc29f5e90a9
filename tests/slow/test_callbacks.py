"""What goes wrong on a real Airflow is told once: each row of the callback table. About four minutes.

A scheduler, an API server and a DAG processor run the DAGs of `misfortunes.py`, which fail in every way there is under
the product's own callbacks (`dags/task_rules.py`); what they wrote to the outbox is then read.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from settlement.adapters import airflow_health
from settlement.adapters.ledger import migrate
from settlement_lab.demo import airflow_home
from settlement_lab.servers import services, tether

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_500)]

HERE = Path(__file__).parent

# What goes wrong, and what is told of it.
TOLD: dict[str, list[str]] = {
    "exception": ["task.failed"],
    "execution_timeout": ["task.failed"],
    "retried_exception": ["task.failed", "task.retry"],
    "os_exit": ["task.failed"],
    "sigkill": ["task.failed"],
    "sigkill_retried": ["task.retry"],
    "killed_supervisor": ["task.failed"],
    "run_timeout": ["task.failed"],
    "task_marked_failed": ["task.failed"],
    "run_marked_failed": [],  # only the watch can see it: the day misses its deadline
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Airflow:
    """A running Airflow, and the outbox that its callbacks write to."""

    api: httpx.Client
    url: str
    login: tuple[str, str]
    database: str
    processes: dict[str, Any]

    def state(self, dag_id: str) -> str:
        return str(self.api.get(f"/api/v2/dags/{dag_id}/dagRuns/{dag_id}").json().get("state"))

    def told(self, dag_id: str) -> list[tuple[str, str]]:
        """Return event and task of the messages about the run, in the order in which they were written."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                """
                select event, fields ->> 'task'
                  from ledger.alert_outbox, jsonb_path_query(payload, '$.*.fields') fields
                 where fields ->> 'run_id' = %s and state <> 'suppressed' and event like 'task.%%'
                 order by alert_id
                """,
                (dag_id,),
            ).fetchall()
        return [(event, task) for event, task in rows]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("c")
    with services.running(home) as endpoints, ExitStack() as started:
        airflow_home.migrate(endpoints)
        migrate.migrate(endpoints.postgres.settlement_db_url)
        dags = home / "dags"
        dags.mkdir()
        shutil.copy(HERE / "misfortunes.py", dags)
        (dags / "unparsable.py").write_text("from airflow.sdk import dag\n@dag(\n", encoding="utf-8")
        shutil.copy(airflow_home.PROJECT / "dags" / "task_rules.py", dags)
        users, passwords = airflow_home.users_environment(home, airflow_home.free_port())
        environment = airflow_home.environment(endpoints) | users
        environment |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__TASK_SUCCESS_OVERTIME": "120",  # ten tasks at once on two cores: callbacks take their time
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
        }
        log = home / "log" / "airflow.log"
        processes = {}
        output = started.enter_context(log.open("wb"))
        for component in ("api-server", "scheduler", "dag-processor"):
            processes[component] = tether.start([*airflow_home.AIRFLOW, component], env=environment, output=output)
            started.callback(tether.stop, processes[component])
        url = users["AIRFLOW__API__BASE_URL"]
        airflow_home.wait_until_healthy(url, processes, log)
        api = started.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False))
        login = api.post("/auth/token", json={"username": "maker", "password": passwords["maker"]})
        api.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        yield Airflow(
            api=api,
            url=url,
            login=("viewer", passwords["viewer"]),
            database=endpoints.postgres.settlement_db_url.replace("+psycopg", ""),
            processes=processes,
        )


def until(what: str, found: Callable[[], Any], *, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(1)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


def has_ended(airflow: Airflow, dag_id: str) -> bool:
    return airflow.state(dag_id) in ("success", "failed")


@pytest.fixture(scope="module")
def misfortunes(airflow: Airflow) -> Airflow:
    """Let everything go wrong at once, a person's interventions included, and wait until all runs have ended."""
    until(
        "the DAGs are known",
        lambda: all(airflow.api.get(f"/api/v2/dags/{dag_id}").status_code == 200 for dag_id in TOLD),
    )
    for dag_id in TOLD:
        answer = airflow.api.post(
            f"/api/v2/dags/{dag_id}/dagRuns",
            json={"dag_run_id": dag_id, "logical_date": None, "conf": {"settlement_date": "2026-02-13"}},
        )
        assert answer.status_code == 200, answer.text
    mark_task = "/api/v2/dags/task_marked_failed/dagRuns/task_marked_failed/taskInstances/act"
    until("the task runs", lambda: airflow.api.get(mark_task).json().get("state") == "running")
    assert airflow.api.patch(mark_task, json={"new_state": "failed"}).status_code == 200
    until("the run runs", lambda: airflow.state("run_marked_failed") == "running")
    mark_run = "/api/v2/dags/run_marked_failed/dagRuns/run_marked_failed"
    assert airflow.api.patch(mark_run, json={"state": "failed"}).status_code == 200
    for dag_id in TOLD:
        until(f"[{dag_id}] ends", partial(has_ended, airflow, dag_id))
    time.sleep(20)  # what would be told twice has the time to be
    return airflow


@pytest.mark.parametrize("dag_id", TOLD)
def test_a_misfortune_is_told_once(misfortunes: Airflow, dag_id: str) -> None:
    told = misfortunes.told(dag_id)
    print(f"{dag_id}: {told}")
    # A slow callback of the first try may write its row after those of the second.
    assert sorted(event for event, _ in told) == TOLD[dag_id]


def why_absent(airflow: Airflow, dag_id: str) -> str | None:
    """Return what the watch would say of a date for which this DAG has made no run."""
    return airflow_health.reader(airflow.url, login=airflow.login, dag_id=dag_id)()


def test_a_dag_that_does_not_parse_has_no_run_and_the_watch_says_why(misfortunes: Airflow) -> None:
    assert misfortunes.api.post("/api/v2/dags/unparsable/dagRuns", json={"logical_date": None}).status_code == 404
    until("the import error is known", lambda: why_absent(misfortunes, "unparsable") == "dag_unparsable")


def test_a_paused_dag_runs_nothing_and_the_watch_says_so(misfortunes: Airflow) -> None:
    assert why_absent(misfortunes, "paused") == "not_scheduled"
    assert misfortunes.api.patch("/api/v2/dags/paused", json={"is_paused": True}).status_code == 200
    asked = {"dag_run_id": "paused", "logical_date": None}
    assert misfortunes.api.post("/api/v2/dags/paused/dagRuns", json=asked).status_code == 200
    time.sleep(10)
    assert misfortunes.state("paused") == "queued"
    assert misfortunes.told("paused") == []
    assert why_absent(misfortunes, "paused") == "dag_paused"


def test_a_dead_scheduler_is_seen_from_outside(misfortunes: Airflow) -> None:
    health = airflow_health.reader(misfortunes.url)
    assert health() is None
    tethered = misfortunes.processes["scheduler"].pid
    scheduler = int(Path(f"/proc/{tethered}/task/{tethered}/children").read_text())
    os.killpg(scheduler, signal.SIGSTOP)
    try:
        assert until("the scheduler is missed", health, seconds=60) == "scheduler_down"
    finally:
        os.killpg(scheduler, signal.SIGCONT)
