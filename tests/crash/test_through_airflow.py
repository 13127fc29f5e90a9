"""A day whose tasks are killed at ten points, and tried again by a real Airflow. About six minutes on two busy cores.

The scheduler starts the day by itself, as its timetable says; nobody answers, clears or triggers anything.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from settlement_lab.demo import airflow_home
from settlement_lab.servers import embedded, tether
from settlement_lab.servers.services import Endpoints

from . import day
from .conftest import World
from .test_crash import differences

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

DAG = "/api/v2/dags/daily_settlement"

# Ten points, by the task that dies there. Airflow gives a task five tries.
KILLS = {
    "compute.distribute": ["compute._distribute after"],
    "transfer.take_in": ["take_in.take_in after"],
    "transfer.prepare": ["prepare.prepare before", "prepare.prepare after"],
    "transfer.approve": ["approve.ask after"],
    "transfer.submit": [
        "submit._write_files after",
        "bank.submit before",
        "bank.submit after",
        "submit._keep_answer after",
    ],
    "transfer.answers": ["inquire.hear_answers after"],
}


@contextmanager
def airflow(home: Path, world: World, postgres: embedded.Server, kills: Path) -> Iterator[httpx.Client]:
    """Run Airflow with the DAG that can be killed, and yield its API as the viewer's."""
    endpoints = Endpoints(home=home, postgres=postgres, bank=world.bank, slack_url="")
    (home / "log").mkdir()
    airflow_home.migrate(endpoints)
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).with_name("mortal_settlement.py"), dags)
    users, passwords = airflow_home.users_environment(home, airflow_home.free_port())
    environment = airflow_home.environment(endpoints) | users | world.environment
    del environment["AIRFLOW_CONN_SETTLEMENT_SLACK"]
    environment |= {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "PYTHONPATH": os.pathsep.join([str(airflow_home.PROJECT / "dags"), environment["PYTHONPATH"]]),
        "SETTLEMENT_NOW": day.MORNING,
        "SETTLEMENT_TEST_KILLS": str(kills),
    }
    log = home / "log" / "airflow.log"
    processes = {}
    with ExitStack() as started:
        output = started.enter_context(log.open("wb"))
        for component in ("api-server", "scheduler", "dag-processor"):
            processes[component] = tether.start([*airflow_home.AIRFLOW, component], env=environment, output=output)
            started.callback(tether.stop, processes[component])
        url = users["AIRFLOW__API__BASE_URL"]
        airflow_home.wait_until_healthy(url, processes, log)
        api = started.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False))
        login = api.post("/auth/token", json={"username": "viewer", "password": passwords["viewer"]})
        api.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        yield api


def ended(api: httpx.Client) -> dict[str, Any]:
    """Wait until the one run there is has ended, and return it."""
    deadline = time.monotonic() + 1200
    while time.monotonic() < deadline:
        for run in api.get(f"{DAG}/dagRuns").json().get("dag_runs", []):
            if run["state"] in ("success", "failed"):
                return dict(run)
        time.sleep(1)
    raise AssertionError("the run does not end")


def test_a_day_whose_tasks_die_at_ten_points_ends_as_if_nothing_had_happened(
    new_world: Callable[..., Any], postgres: embedded.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_world(is_open=True) as world:
        assert world.play() == 0
        expected = world.outcome()
    kills = tmp_path / "kills"
    kills.mkdir()
    for points in KILLS.values():
        for point in points:
            (kills / point).touch()
    with new_world(is_open=True) as world:
        with airflow(tmp_path, world, postgres, kills) as api:
            run = ended(api)
            tasks = api.get(f"{DAG}/dagRuns/{run['dag_run_id']}/taskInstances").json()["task_instances"]
        assert list(kills.iterdir()) == [], "nobody died there"
        assert (run["state"], run["run_type"]) == ("success", "scheduled")
        assert {task["task_id"]: task["try_number"] for task in tasks if task["try_number"] > 1} == {
            task: len(points) + 1 for task, points in KILLS.items()
        }
        found = world.outcome()
    # That a task was tried again is told to people; everything else is as if nothing had happened.
    told = [row for row in found["alerts"] if "task.retry" not in row]
    assert differences(expected, found | {"alerts": told}) == {}
    assert len(found["bank"]) == 3
    with capsys.disabled():
        print(f"\n{sum(map(len, KILLS.values()))} points killed in {len(tasks)} tasks, each tried again by Airflow")
