"""A company's own DAG, the one of docs/assets.md, listens to a real scheduler: it sees each date that was settled,
closed or restated, several of them in one run, and no dry run.

Airflow settles one date of the lender of `backfilled`; the four after it are settled without Airflow, and told by the
next reconciliation. Ten to fifteen minutes on two cores that many others use too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from settlement.ports.days import RunRequest
from settlement.stages import open_day
from settlement_lab.demo import airflow_home
from settlement_lab.rehearse.worker import STAGES
from settlement_lab.servers import services

from . import backfilled
from .backfilled import DATES, MORNING
from .test_scheduler import RealAirflow, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

FIVE = DATES[:5]
FIRST, _, _, FOURTH, FIFTH = FIVE
CONSUMER, RECONCILIATION = "general_ledger", "bank_reconciliation"
USED = {"daily_settlement", RECONCILIATION, CONSUMER}


class Ground:
    """The lender, its Airflow, and the DAG that listens."""

    def __init__(self, airflow: RealAirflow, endpoints: services.Endpoints, policy: Path) -> None:
        self.airflow = airflow
        self.endpoints = endpoints
        self.policy = policy

    def of_airflow(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.endpoints.postgres.airflow_url.replace("+psycopg2", "")) as connection:
            return connection.execute(query.encode()).fetchall()

    def pause(self, dag_id: str, *, is_paused: bool) -> None:
        self.airflow.user("maker").patch(f"/api/v2/dags/{dag_id}", json={"is_paused": is_paused}).raise_for_status()

    def settle_the_others(self) -> None:
        """Have the four dates after the first settled, and the scheduler have nothing to do with them."""
        self.pause("daily_settlement", is_paused=True)
        backfilled.write_policy(self.policy, last=FIFTH, tax_falls=False)
        with backfilled.product(self.endpoints, self.policy) as opened:
            for on in FIVE[1:]:
                day = open_day.open_day(opened, RunRequest(settlement_date=on, run_id=f"run-{on}"), now=MORNING)
                for _, stage in STAGES:
                    stage(opened, day, now=MORNING)

    def trigger(self, dag_id: str, **conf: Any) -> None:
        """Trigger a run as a person does, and wait until every run has ended."""
        asked = {"logical_date": None, "conf": conf}
        self.airflow.user("maker").post(f"/api/v2/dags/{dag_id}/dagRuns", json=asked).raise_for_status()
        self.until_quiet()

    def until_quiet(self) -> None:
        """Wait until no run is left to be run, and no event to be handed over."""
        left = (
            "select run_id from dag_run where state in ('queued', 'running')"
            " union all select target_dag_id from asset_dag_run_queue"
        )
        until("every run has ended", lambda: not self.of_airflow(left), seconds=1200)

    def told(self) -> list[tuple[date, int, str]]:
        """Return every event, as date, revision and state, in the order in which they were told."""
        said = "(extra ->> 'date')::date, (extra ->> 'revision')::int, extra ->> 'state'"
        return [
            (on, revision, state)
            for on, revision, state in self.of_airflow(f"select {said} from asset_event order by id")
        ]

    def heard(self) -> list[list[tuple[date, int, str]]]:
        """Return the events of each run of the DAG that listens."""
        query = (
            "select array_agg(array[e.extra ->> 'date', e.extra ->> 'revision', e.extra ->> 'state'] order by e.id)"
            " from dag_run r join dagrun_asset_event on dag_run_id = r.id join asset_event e on e.id = event_id"
            f" where r.dag_id = '{CONSUMER}' and r.state = 'success' group by r.id order by r.id"
        )
        return [
            [(date.fromisoformat(on), int(revision), state) for on, revision, state in events]
            for (events,) in self.of_airflow(query)
        ]

    def read(self) -> dict[str, tuple[int, str]]:
        """Return revision and state of each date, as the DAG that listens has read them last."""
        runs = f"/api/v2/dags/{CONSUMER}/dagRuns"
        found: dict[str, tuple[int, str]] = {}
        viewer = self.airflow.user("viewer")
        for run in viewer.get(runs, params={"order_by": "run_after"}).json()["dag_runs"]:
            path = f"{runs}/{run['dag_run_id']}/taskInstances/read_what_changed/xcomEntries/return_value"
            rows = viewer.get(path).json()["value"]
            found |= {row["settlement_date"]: (row["revision"], row["state"]) for row in rows}
        return found

    def books(self) -> dict[str, tuple[int, str]]:
        """Return revision and state of each date, as the books have them."""
        rows = self.airflow.rows("select settlement_date, revision, state from reporting.settlement_days order by 1")
        return {str(on): (revision, state) for on, revision, state in rows}


def dags_of(airflow: RealAirflow) -> set[str]:
    return {dag["dag_id"] for dag in airflow.user("viewer").get("/api/v2/dags").json()["dags"]}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    home = tmp_path_factory.mktemp("home")
    dags = home / "dags"
    shutil.copytree(airflow_home.PROJECT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    page = (airflow_home.PROJECT / "docs" / "assets.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (dags / "general_ledger.py").write_text(example, encoding="utf-8")
    with services.running(home) as endpoints:
        airflow_home.migrate(endpoints)
        backfilled.begin(endpoints)
        policy = backfilled.write_policy(home / "policy.toml", last=FIRST, tax_falls=False)
        more = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW_CONN_SETTLEMENT_REPORTING": endpoints.environment()["AIRFLOW_CONN_SETTLEMENT_DB"],
        }
        with running(endpoints, now=MORNING, policy=policy, more=more) as airflow:
            until("the DAGs are parsed", lambda: dags_of(airflow) >= USED)
            yield Ground(airflow, endpoints, policy)


def test_a_dag_that_listens_sees_each_settled_closed_and_restated_date_and_no_dry_run(ground: Ground) -> None:
    ground.pause(CONSUMER, is_paused=False)
    ground.airflow.backfill(str(FIRST), str(FIRST), "--dag-run-conf", '{"dry_run": true}')
    ground.pause("daily_settlement", is_paused=False)
    ground.until_quiet()
    assert ground.told() == []

    again = ("--reprocess-behavior", "completed", "--dag-run-conf", "{}")
    ground.airflow.backfill(str(FIRST), str(FIRST), *again)
    ground.until_quiet()
    settled = [(FIRST, 1, ground.books()[str(FIRST)][1])]
    assert ground.told() == settled
    assert ground.heard() == [settled]
    assert ground.read() == ground.books()

    ground.settle_the_others()
    for on in backfilled.QUIET:
        ground.endpoints.bank.advance_to(on)
    ground.pause(RECONCILIATION, is_paused=False)
    ground.trigger(RECONCILIATION)
    closed = [(on, 1, "closed") for on in FIVE]
    assert ground.told() == settled + closed
    assert ground.heard()[1:] == [closed], "several dates in one run"
    assert ground.read() == ground.books() == {str(on): (1, "closed") for on in FIVE}

    backfilled.change(ground.endpoints)
    command = [sys.executable, "-m", "settlement.cli", "restate", str(FOURTH), "--reason", "the lender's rows"]
    subprocess.run([*command, "--by", "maker"], env=ground.airflow.environment, check=True, timeout=120)
    ground.trigger(RECONCILIATION)
    ground.trigger(RECONCILIATION)
    restated = [(on, 2, "closed") for on in (FOURTH, FIFTH)]
    assert ground.told() == settled + closed + restated
    assert ground.heard()[2:] == [restated]
    assert ground.read() == ground.books()
