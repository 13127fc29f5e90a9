"""A real Airflow is asked for dates in every way that a person has: command line, API, the UI's form, a backfill.

About ten minutes on two cores that others use too. Every run is a dry one, or is refused.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .test_scheduler import DAG, RealAirflow, airflow, finished, result, task_states, until

__all__ = ["airflow"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DRY = {"dry_run": True}


@pytest.fixture(scope="module")
def unpaused(airflow: RealAirflow) -> RealAirflow:
    """Let the DAG run, with a dry backfill of the newest date, so that no scheduled run settles it."""
    until("the DAG is parsed", lambda: airflow.user("viewer").get(DAG).status_code == 200)
    airflow.backfill("2026-02-23", "2026-02-23", "--dag-run-conf", json.dumps(DRY))
    assert airflow.user("maker").patch(DAG, json={"is_paused": False}).status_code == 200
    return airflow


def triggered(airflow: RealAirflow, logical_date: str | None, **conf: Any) -> str:
    """Trigger a run through the API, which the UI's form uses too; return its id."""
    asked = {"logical_date": logical_date, "conf": conf}
    answer = airflow.user("maker").post(f"{DAG}/dagRuns", json=asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["dag_run_id"])


def opened(airflow: RealAirflow, run_id: str) -> str:
    """Wait until the run has opened its day, and return that."""

    def first_task() -> bool:
        return task_states(airflow, run_id).get("extract.open_day", ("",))[0] in ("success", "failed")

    until(f"[{run_id}] opens its day", first_task)
    return str(result(airflow, run_id, "extract.open_day")["settlement_date"])


def refused(airflow: RealAirflow, run_id: str, *, times_run: int = 1) -> str:
    """Wait until the run has failed in its first task without a retry; return what people are told of it.

    Airflow numbers the tries on where a run is run again.
    """
    finished(airflow, run_id, "failed")
    assert task_states(airflow, run_id)["extract.open_day"] == ("failed", times_run)
    query = (
        "select value -> 'fields' ->> 'error' from ledger.alert_outbox, jsonb_each(payload)"
        f" where value ->> 'event' = 'run.refused' and value -> 'fields' ->> 'run_id' = '{run_id}' limit 1"
    )
    ((error,),) = until("people are told", lambda: airflow.rows(query))
    return str(error)


def test_a_logical_date_names_its_date_by_command_line_api_and_form(unpaused: RealAirflow) -> None:
    told = unpaused.airflow(
        *("dags", "trigger", "daily_settlement", "--logical-date", "2026-02-13", "--run-id", "by-command-line"),
        *("--conf", json.dumps(DRY)),
    )
    assert told.returncode == 0, told.stderr[-3000:]
    present = datetime.now(UTC)
    runs = {
        "by-command-line": "2026-02-13",
        triggered(unpaused, "2026-02-12T15:00:00Z", **DRY): "2026-02-13",
        triggered(unpaused, "2026-02-20T00:00:00Z", **DRY): "2026-02-20",
        triggered(unpaused, "2026-02-20T14:30:00+09:00", **DRY): "2026-02-20",
        triggered(unpaused, present.isoformat(), **DRY): "2026-02-23",
        triggered(unpaused, (present + timedelta(seconds=1)).isoformat(), settlement_date="2026-02-12", **DRY): (
            "2026-02-12"
        ),
        triggered(unpaused, None, **DRY): "2026-02-23",
    }
    assert {run_id: opened(unpaused, run_id) for run_id in runs} == runs
    for run_id, on in runs.items():
        finished(unpaused, run_id)
        report = result(unpaused, run_id, "report")
        assert (report["dry_run"], report["settlement_date"]) == (True, on)
        assert unpaused.rows(f"select event from reporting.alerts where dedupe_key = '{on}:dry:{run_id}'") == [
            ("day.dry_run",)
        ]


def test_what_cannot_be_meant_is_refused_by_the_first_task_at_once(unpaused: RealAirflow) -> None:
    sunday = triggered(unpaused, "2026-02-15T00:00:00Z", **DRY)
    misspelt = triggered(unpaused, None, settlement_date="2026-02-12", dryrun=True)
    assert "names [2026-02-15]" in refused(unpaused, sunday)
    error = refused(unpaused, misspelt)
    assert "The run was asked [dryrun] = [true], which is no parameter" in error
    assert "[settlement_date, dry_run, transfer, reason]" in error
    assert unpaused.rows("select count(*) from reporting.payouts") == [(0,)]
    told = "select distinct event, severity from reporting.alerts where event in ('task.failed', 'run.refused')"
    assert unpaused.rows(told) == [("run.refused", "info")], "nobody is paged, by the task or by its run"


def test_a_backfill_that_is_reprocessed_says_which_conf_it_keeps_and_a_date_of_another_day_is_refused(
    unpaused: RealAirflow,
) -> None:
    runs = unpaused.user("viewer").get(f"{DAG}/dagRuns", params={"run_type": "backfill"}).json()["dag_runs"]
    (run_id,) = [run["dag_run_id"] for run in runs]
    finished(unpaused, run_id)
    assert "kept_conf" not in result(unpaused, run_id, "report")

    again = ("2026-02-23", "2026-02-23", "--reprocess-behavior", "completed")
    unpaused.backfill(*again)
    finished(unpaused, run_id)
    report = until("it reports again", lambda: (said := result(unpaused, run_id, "report")).get("kept_conf") and said)
    assert (report["dry_run"], report["kept_conf"]) == (True, '{"dry_run": true}')
    keys = f"select dedupe_key, severity from reporting.alerts where dedupe_key like '%dry:{run_id}%' order by alert_id"
    assert unpaused.rows(keys) == [(f"2026-02-23:dry:{run_id}", "info"), (f"2026-02-23:dry:{run_id}:1", "warning")]

    unpaused.backfill(*again, "--dag-run-conf", json.dumps({"settlement_date": "2026-02-13"}))
    error = refused(unpaused, run_id, times_run=3)
    assert "asked for settlement_date [2026-02-13] and is the run of [2026-02-23]" in error
