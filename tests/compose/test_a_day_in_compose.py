"""One day settles through every service of docker-compose.yaml, asked for and approved by people who log in.

About five minutes on two cores. It needs Debian's packages redis-server and docker-compose.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
from settlement_lab.servers import bank as demo_bank
from settlement_lab.slack import sink

from . import stack as stacks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Found = TypeVar("Found")

DAY = Path(__file__).parents[1] / "days" / "2026-02-16"
DAG = "/api/v2/dags/daily_settlement"
HALF_AN_HOUR_BEFORE_THE_SCHEDULED_RUN = "2026-02-17T05:30+09:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The running services, with what stands for the outside world."""

    stack: stacks.Stack
    bank: demo_bank.Bank
    slack: sink.Sink

    def user(self, name: str) -> httpx.Client:
        """Return a client logged in as one of the people."""
        url = self.stack.url("8080")
        login = {"username": name, "password": self.stack.password(name)}
        answer = httpx.post(f"{url}/auth/token", json=login, timeout=60, trust_env=False)
        token = answer.raise_for_status().json()["access_token"]
        return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the settlement database as a person who reads reports."""
        return self.stack.ask("settlement_db", "settlement_tasks", query)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("compose")
    policy = folder / "policy.toml"
    policy.write_text(the_policy(), encoding="utf-8")
    with sink.running(folder / "slack") as slack:
        connection = {
            "conn_type": "slack",
            "password": "xoxb-test",
            "extra": {"base_url": slack.base_url, "timeout": 5},
        }
        settings = {
            "AIRFLOW_CONN_SETTLEMENT_SLACK": json.dumps(connection),
            "REHEARSAL_CLOCK": "2026-02-16T06:00",
            "SETTLEMENT_NOW": HALF_AN_HOUR_BEFORE_THE_SCHEDULED_RUN,
            "SETTLEMENT_POLICY_FILE": str(policy),
        }
        with stacks.running(folder, settings, profile="rehearsal") as stack:
            url = stack.server.url("lending_core", user="postgres", driver="postgresql")
            with psycopg.connect(url) as source:
                source.execute((DAY / "core.sql").read_bytes())
            bank = demo_bank.Bank(url=stack.url("8090"))
            # The worked day is a Korean holiday that its policy opens; so does its bank.
            closed = ["2026-02-17", "2026-02-18", "2026-03-02"]
            httpx.put(f"{bank.url}/_mock/holidays", json=closed, trust_env=False).raise_for_status()
            bank.receive(reference="REF-R1", amount=95000, on=date(2026, 2, 16), payer="홍길동")
            bank.advance_to(date(2026, 2, 17))
            yield Deployment(stack=stack, bank=bank, slack=slack)


def the_policy() -> str:
    """Return the worked day's policy for that day alone, with a limit that it exceeds."""
    text = (DAY / "policy.toml").read_text(encoding="utf-8")
    for old, new in {
        "# first_settlement_date = 2026-01-02": "first_settlement_date = 2026-02-16",
        "# last_settlement_date = 2026-12-31": "last_settlement_date = 2026-02-16",
        "# limit.KRW = 5000000000": "limit.KRW = 1000",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def until(what: str, found: Callable[[], Found], *, seconds: float = 240) -> Found:
    """Wait until something is found, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(1)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


def test_a_day_is_asked_for_approved_settled_and_told(deployment: Deployment) -> None:
    maker, checker, viewer = (deployment.user(name) for name in ("maker", "checker", "viewer"))
    until("the DAG", lambda: viewer.get(DAG).status_code == 200)
    request = {"logical_date": None, "conf": {"settlement_date": "2026-02-16"}}
    assert viewer.post(f"{DAG}/dagRuns", json=request).status_code == 403
    assert maker.patch(DAG, json={"is_paused": False}).status_code == 200
    run = f"{DAG}/dagRuns/{maker.post(f'{DAG}/dagRuns', json=request).raise_for_status().json()['dag_run_id']}"

    def states() -> dict[str, str]:
        tasks = viewer.get(f"{run}/taskInstances").json()["task_instances"]
        assert "failed" not in [task["state"] for task in tasks], deployment.stack.last_words("worker")
        return {task["task_id"]: task["state"] for task in tasks}

    until("the question", lambda: states().get("transfer.approve") == "awaiting_input")
    answer = {"chosen_options": ["Approve"], "params_input": {}}
    question = f"{run}/taskInstances/transfer.approve/-1/hitlDetails"
    assert maker.patch(question, json=answer).status_code == 403
    assert viewer.patch(question, json=answer).status_code == 403
    assert checker.patch(question, json=answer).status_code == 200
    until("the end of the run", lambda: viewer.get(run).json()["state"] == "success")

    assert deployment.rows("select state from reporting.settlement_days") == [("settled_with_breaks",)]
    assert deployment.rows("select triggered_by, outcome from reporting.runs") == [("maker", "settled_with_breaks")]
    paid = "select investor_id, currency, amount from reporting.payouts order by 1"
    assert deployment.rows(paid) == [
        (row["investor_id"], row["currency"], int(row["amount"])) for row in table("payouts")
    ]
    at_bank = sorted((payment["end_to_end_id"], payment["amount"]) for payment in deployment.bank.payments())
    assert at_bank == sorted(deployment.rows("select end_to_end_id, amount from reporting.payouts"))
    shares = "select investor_id, component, gross_amount, net_amount from reporting.shares order by note_id, component"
    assert deployment.rows(shares) == [
        (row["investor_id"], row["component"], int(row["gross_amount"]), int(row["net_amount"]))
        for row in sorted(table("shares"), key=lambda row: (row["note_id"], row["component"]))
    ]
    until("every alert in Slack", lambda: not deployment.rows("select from reporting.alerts where state = 'pending'"))
    assert deployment.rows("select event from reporting.alerts where state = 'failed'") == []
    log = viewer.get(f"{run}/taskInstances/reconcile.prove/logs/1", headers={"Accept": "application/json"})
    assert "reconcile.prove" in log.text
    status = deployment.stack.run("watch", ["settlement", "status", "2026-02-16", "--json"])
    assert json.loads(status.stdout)["state"] == "settled_with_breaks"


def table(name: str) -> list[dict[str, str]]:
    with (DAY / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_frozen_inputs_lie_in_the_shared_volume_and_nobody_else_can_read_them(deployment: Deployment) -> None:
    snapshots = deployment.stack.folder / "volumes" / "snapshots"
    assert [path.name for path in snapshots.rglob("*.parquet")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in snapshots.iterdir())


def test_tasks_can_change_neither_schema_nor_books_nor_airflow(deployment: Deployment) -> None:
    for query in (
        "create table ledger.mine ()",
        "update ledger.entries set event = 'opening' returning event",
        "delete from ledger.postings returning account",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            deployment.rows(query)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        deployment.stack.ask("airflow", "settlement_tasks", "select 1")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        deployment.stack.ask("lending_core", "settlement_reader", "delete from core.repayments returning repayment_id")
    worker = deployment.stack.environment("worker")
    assert not [name for name in worker if name.endswith(("SQL_ALCHEMY_CONN", "JWT_SECRET", "FERNET_KEY"))]


def test_a_second_start_changes_nothing(deployment: Deployment) -> None:
    users = "select id, username, password from ab_user order by id"
    before = deployment.stack.ask("airflow", "airflow", users)
    deployment.stack.start("airflow-init")
    deployment.stack.wait("airflow-init", "service_completed_successfully")
    deployment.stack.start("bank-account")
    deployment.stack.wait("bank-account", "service_completed_successfully")
    assert deployment.stack.ask("airflow", "airflow", users) == before
    assert [row[1] for row in before] == ["admin", "maker", "checker", "viewer"]


def test_the_queue_asks_for_its_password(deployment: Deployment) -> None:
    refused = deployment.stack.run("redis", ["redis-cli", "-p", "6379", "--no-auth-warning", "-a", "wrong", "ping"])
    assert "WRONGPASS" in refused.stdout
