"""Every DAG file parses, fast and light, and shows a person the form that the contract promises."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARSE = """
import json, sys, time
import airflow.plugins_manager
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.standard.operators import hitl
from airflow.sdk import dag, task
from airflow.serialization.serialized_objects import DagSerialization

_, plugin_errors = airflow.plugins_manager._get_plugins()
folder, started = sys.argv[1], time.perf_counter()
bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
seconds = time.perf_counter() - started
print(json.dumps({
    "seconds": seconds,
    "errors": {**bag.import_errors, **plugin_errors},
    "heavy": sorted({"pandas", "numpy", "pyarrow", "holidays", "settlement.ports"} & set(sys.modules)),
    "dags": {name: DagSerialization.to_dict(dag) for name, dag in bag.dags.items()},
}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "SETTLEMENT"))} | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    program = [sys.executable, "-c", PARSE, str(ROOT / "dags")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-5000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def settings(parsed: dict[str, Any], dag_id: str) -> dict[str, Any]:
    found: dict[str, Any] = parsed["dags"][dag_id]["dag"]
    return found


def test_all_dags_and_plugins_load_without_an_error(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert sorted(parsed["dags"]) == ["alert_delivery", "bank_reconciliation", "daily_settlement"]


def test_each_try_waits_twice_as_long_as_the_one_before(parsed: dict[str, Any]) -> None:
    (submit,) = [
        task["__var"]
        for task in settings(parsed, "daily_settlement")["tasks"]
        if task["__var"]["task_id"] == "transfer.submit"
    ]
    assert submit["retry_exponential_backoff"] == 2


def test_parsing_takes_under_a_second_and_loads_nothing_heavy(parsed: dict[str, Any]) -> None:
    assert parsed["seconds"] < 1
    assert parsed["heavy"] == []


def test_the_day_is_one_line_of_tasks(parsed: dict[str, Any]) -> None:
    tasks = {task["__var"]["task_id"]: task["__var"] for task in settings(parsed, "daily_settlement")["tasks"]}
    line, following = [], ["extract.open_day"]
    while following:
        (task_id,) = following
        line.append(task_id)
        following = tasks[task_id].get("downstream_task_ids", [])
    assert line == [
        "extract.open_day",
        "extract.freeze_inputs",
        "compute.distribute",
        "transfer.take_in",
        "transfer.prepare",
        "transfer.approve",
        "transfer.submit",
        "transfer.answers",
        "reconcile.statement",
        "reconcile.match",
        "reconcile.prove",
        "report",
    ]
    assert len(line) == len(tasks)


def test_the_form_asks_for_what_the_contract_names(parsed: dict[str, Any]) -> None:
    params = dict(settings(parsed, "daily_settlement")["params"])
    shown = {
        name: (param["default"], param["schema"]["__var"]["type"], param["schema"]["__var"].get("format"))
        for name, param in params.items()
    }
    assert shown == {
        "settlement_date": (None, ["null", "string"], "date"),
        "dry_run": (False, "boolean", None),
        "transfer": (True, "boolean", None),
        "reason": (None, ["null", "string"], None),
    }
    assert all(param["schema"]["__var"]["title"] and param["description"] for param in params.values())
    ((name, as_of),) = settings(parsed, "bank_reconciliation")["params"]
    assert (name, as_of["schema"]["__var"]["format"]) == ("as_of", "date")


@pytest.mark.parametrize("dag_id", ["alert_delivery", "bank_reconciliation", "daily_settlement"])
def test_no_dag_catches_up_by_itself_and_every_task_tells_of_its_failure(parsed: dict[str, Any], dag_id: str) -> None:
    dag = settings(parsed, dag_id)
    assert dag["catchup"] is False
    assert dag["has_on_failure_callback"]
    for task in dag["tasks"]:
        told = dag["default_args"]["__var"] | task["__var"]
        assert told["has_on_failure_callback"] and told["has_on_retry_callback"] and told["has_retry_policy"]


def test_a_day_that_waits_holds_no_other_back_and_the_bank_is_read_once_at_a_time(parsed: dict[str, Any]) -> None:
    assert settings(parsed, "daily_settlement")["max_active_runs"] == 16
    assert settings(parsed, "bank_reconciliation")["max_active_runs"] == 1
    assert settings(parsed, "alert_delivery")["max_active_runs"] == 1


def test_the_days_schedule_is_the_bank_calendar(parsed: dict[str, Any]) -> None:
    timetable = settings(parsed, "daily_settlement")["timetable"]
    assert timetable["__type"] == "bank_days.BankDays"
    assert timetable["__var"]["calendar"]["country"] == "KR"
