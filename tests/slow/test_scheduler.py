"""A real Airflow settles the demo's five days by backfill, asks a second person, and takes a person's trigger.

About eleven minutes on two cores that others use too. The scheduler, the API server and the DAG processor run as
processes of their own, on the demo's PostgreSQL, bank and Slack sink, in a home of the test's own; all of them end with
the test, however it ends.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
from settlement.adapters.ledger import migrate
from settlement_lab.demo import airflow_home, world
from settlement_lab.servers import services, tether

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

Found = TypeVar("Found")

DAG = "/api/v2/dags/daily_settlement"
BACKFILLS_MAY_FOLLOW_AFTER = 60  # seconds; Airflow calls a backfill complete a while after its last run


@dataclass(frozen=True, slots=True, kw_only=True)
class RealAirflow:
    """A running Airflow as its users see it."""

    url: str
    passwords: dict[str, str]
    environment: dict[str, str]
    settlement_db_url: str
    lending_core_url: str

    def user(self, name: str) -> httpx.Client:
        return _logged_in(self.url, name, self.passwords[name])

    def backfill(self, from_date: str, to_date: str, *options: str) -> None:
        """Create a backfill as a person does, as soon as Airflow lets go of the one before."""
        command = ["backfill", "create", "--dag-id", "daily_settlement", "--max-active-runs", "1"]
        command += ["--from-date", from_date, "--to-date", to_date, *options]
        deadline = time.monotonic() + BACKFILLS_MAY_FOLLOW_AFTER
        while True:
            done = self.airflow(*command)
            if done.returncode == 0:
                return
            assert "AlreadyRunningBackfill" in done.stderr + done.stdout, done.stderr[-3000:]
            assert time.monotonic() < deadline, "the backfill before is still running"
            time.sleep(3)

    def airflow(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*airflow_home.AIRFLOW, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the runs of the DAG by their settlement date, as the settlement database knows it."""
        found = {run["dag_run_id"]: run for run in self.user("viewer").get(f"{DAG}/dagRuns").json()["dag_runs"]}
        rows = self.rows("select run_id, settlement_date from reporting.runs")
        return {str(settlement_date): found[run_id] for run_id, settlement_date in rows if run_id in found}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settlement_db_url.replace("+psycopg", "")) as connection:
            return connection.execute(query.encode()).fetchall()


@cache
def _logged_in(url: str, name: str, password: str) -> httpx.Client:
    client = httpx.Client(base_url=url, timeout=60, trust_env=False)
    token = client.post("/auth/token", json={"username": name, "password": password}).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    home = tmp_path_factory.mktemp("home")
    last = world.SETTLEMENT_DATES[-1]
    with services.running(home) as endpoints:
        airflow_home.migrate(endpoints)
        migrate.migrate(endpoints.postgres.settlement_db_url)
        lender = world.World()
        for day in world.SETTLEMENT_DATES:
            world.load(endpoints.postgres.lending_core_owner_url, lender.facts_until(day))
            world.tell_the_bank(endpoints.bank, lender.bank_events(day))
            endpoints.bank.advance_to(day + timedelta(days=1))
        now = datetime.combine(last + timedelta(days=1), clock_time(6), world.SEOUL)
        policy = _policy_that_asks(airflow_home.policy(home), home)
        with running(endpoints, now=now, policy=policy) as airflow:
            yield airflow


@contextmanager
def running(
    endpoints: services.Endpoints, *, now: datetime, policy: Path, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[RealAirflow]:
    """Run an Airflow on the services of a home, whose DAGs are paused, for as long as the block lasts.

    What the test wants otherwise in its environment is in `more`.
    """
    users, passwords = airflow_home.users_environment(endpoints.home, airflow_home.free_port())
    environment = airflow_home.environment(endpoints) | users
    environment |= {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SETTLEMENT_NOW": now.isoformat(),
        "SETTLEMENT_POLICY": str(policy),
    } | dict(more)
    log = endpoints.home / "log" / "airflow.log"
    started = {}
    with ExitStack() as processes:
        output = processes.enter_context(log.open("wb"))
        for component in ("api-server", "scheduler", "dag-processor"):
            started[component] = tether.start([*airflow_home.AIRFLOW, component], env=environment, output=output)
            processes.callback(tether.stop, started[component])
        airflow_home.wait_until_healthy(users["AIRFLOW__API__BASE_URL"], started, log)
        yield RealAirflow(
            url=users["AIRFLOW__API__BASE_URL"],
            passwords=passwords,
            environment=environment,
            settlement_db_url=endpoints.postgres.settlement_db_url,
            lending_core_url=endpoints.postgres.lending_core_owner_url,
        )


def _policy_that_asks(policy: Path, home: Path) -> Path:
    """Write the demo's policy with a limit that every day exceeds."""
    text = re.sub(r"(?m)^(# )?limit\.KRW.*\n", "", policy.read_text(encoding="utf-8"))
    asking = home / "policy-that-asks.toml"
    asking.write_text(re.sub(r"(?m)^(\[approval\].*)$", r"\1\nlimit.KRW = 1000", text), encoding="utf-8")
    return asking


@contextmanager
def asking_for_seconds_only(airflow: RealAirflow) -> Iterator[None]:
    """Let the policy give an approver no more than half a minute."""
    policy = Path(airflow.environment["SETTLEMENT_POLICY"])
    text = policy.read_text(encoding="utf-8")
    policy.write_text(re.sub(r"(?m)^timeout_hours = .*$", "timeout_hours = 0.008", text), encoding="utf-8")
    yield
    policy.write_text(text, encoding="utf-8")


def until(what: str, found: Callable[[], Found], *, seconds: float = 900) -> Found:
    """Wait until something is found, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(1)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


def answer(airflow: RealAirflow, run_id: str, option: str, *, user: str, of: str = "transfer.approve") -> int:
    """Answer the question of a task of a run; return the HTTP status."""
    path = f"{DAG}/dagRuns/{run_id}/taskInstances/{of}/-1/hitlDetails"
    answered = airflow.user(user).patch(path, json={"chosen_options": [option], "params_input": {}})
    return answered.status_code


def task_states(airflow: RealAirflow, run_id: str) -> dict[str, tuple[str, int]]:
    found = airflow.user("viewer").get(f"{DAG}/dagRuns/{run_id}/taskInstances").json()["task_instances"]
    return {task["task_id"]: (task["state"], task["try_number"]) for task in found}


def result(airflow: RealAirflow, run_id: str, task_id: str) -> Any:
    path = f"{DAG}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
    return airflow.user("viewer").get(path).json()["value"]


def is_asking(airflow: RealAirflow, run_id: str, task_id: str = "transfer.approve") -> bool:
    return task_states(airflow, run_id).get(task_id, ("",))[0] == "awaiting_input"


def answered(airflow: RealAirflow, run_id: str, option: str, *, state: str = "success") -> None:
    """Answer as the checker whenever the run asks, and see how it ends.

    Once is enough for a person. A test is quick enough to answer before the scheduler has heard that the task waits;
    Airflow then calls the task lost, and the retry asks again.
    """

    def has_ended() -> bool:
        for task_id in ("compute.distribute", "transfer.approve"):
            if is_asking(airflow, run_id, task_id):
                time.sleep(5)
                answer(airflow, run_id, option, user="checker", of=task_id)
        return airflow.user("viewer").get(f"{DAG}/dagRuns/{run_id}").json()["state"] in ("success", "failed")

    until(f"[{run_id}] ends", has_ended, seconds=900)
    finished(airflow, run_id, state)


def finished(airflow: RealAirflow, run_id: str, state: str = "success") -> None:
    def ended() -> str | None:
        found: str = airflow.user("viewer").get(f"{DAG}/dagRuns/{run_id}").json()["state"]
        return found if found in ("success", "failed") else None

    assert until(f"[{run_id}] ends", ended) == state, task_states(airflow, run_id)


@pytest.fixture(scope="module")
def settled(airflow: RealAirflow) -> RealAirflow:
    """Settle the five days by one backfill, created while the DAG is paused so that it is the first to run.

    Nobody but the checker can answer. The first day is rejected, nobody answers for the second in time, and the payouts
    of the others are approved.
    """
    until("the DAG is parsed", lambda: airflow.user("viewer").get(DAG).status_code == 200)
    airflow.backfill("2026-02-12", "2026-02-23")
    runs = airflow.user("viewer").get(f"{DAG}/dagRuns").json()["dag_runs"]
    run_ids = [run["dag_run_id"] for run in sorted(runs, key=lambda run: run["data_interval_end"])]
    assert [run["data_interval_end"] for run in sorted(runs, key=lambda run: run["data_interval_end"])] == [
        "2026-02-12T15:00:00Z",
        "2026-02-13T15:00:00Z",
        "2026-02-19T15:00:00Z",
        "2026-02-20T15:00:00Z",
        "2026-02-23T15:00:00Z",
    ]
    assert airflow.user("maker").patch(DAG, json={"is_paused": False}).status_code == 200
    first, second, *others = run_ids
    until("the first day asks", lambda: is_asking(airflow, first))
    assert answer(airflow, first, "Approve", user="maker") == 403
    assert answer(airflow, first, "Approve", user="viewer") == 403
    answered(airflow, first, "Reject")
    with asking_for_seconds_only(airflow):
        finished(airflow, second)
    for run_id in others:
        answered(airflow, run_id, "Approve")
    return airflow


def test_a_backfill_of_five_days_settles_exactly_these_in_order(settled: RealAirflow) -> None:
    days = settled.rows("select settlement_date from reporting.settlement_days order by settled_at, settlement_date")
    assert [day for (day,) in days] == list(world.SETTLEMENT_DATES)
    assert sorted(settled.runs()) == [str(day) for day in world.SETTLEMENT_DATES]
    assert {run["run_type"] for run in settled.runs().values()} == {"backfill"}
    reasons = settled.rows("select distinct reason = run_id from reporting.runs")
    assert reasons == [(True,)]


def test_a_rejected_day_and_one_that_nobody_answers_for_succeed_and_the_next_pays_their_money(
    settled: RealAirflow,
) -> None:
    states = settled.rows(
        "select settlement_date, array_agg(distinct state) from reporting.payouts group by 1 order by 1 limit 3"
    )
    assert states[:2] == [(date(2026, 2, 12), ["rejected"]), (date(2026, 2, 13), ["rejected"])]
    assert "rejected" not in states[2][1] or len(states[2][1]) > 1
    for on in ("2026-02-12", "2026-02-13"):
        assert {state for state, _ in task_states(settled, settled.runs()[on]["dag_run_id"]).values()} == {"success"}
    decided = settled.rows("select decision, decided_by from ledger.approvals order by settlement_date")
    assert decided == [("rejected", "checker"), ("expired", "timeout"), *[("approved", "checker")] * 3]
    assert settled.rows("select count(*) from reporting.alerts where event = 'task.failed'") == [(0,)]


def test_a_backfill_is_told_in_one_thread_that_ends_with_its_last_run(settled: RealAirflow) -> None:
    assert settled.rows("select distinct thread from ledger.alert_roots where thread not like 'heartbeat%'") == [
        ("backfill:1",)
    ]
    summaries = settled.rows(
        "select payload -> 'backfill.summary' -> 'fields' from ledger.alert_outbox where payload ? 'backfill.summary'"
    )
    ((summary,),) = summaries
    assert (summary["ok_count"], summary["changed_count"], summary["failed_count"]) == (5, 0, 0)
    paid = settled.rows("select sum(amount)::bigint from reporting.payouts where state not in ('rejected', 'returned')")
    assert summary["difference_paid"] == [{"amount": paid[0][0], "currency": "KRW"}]


@pytest.mark.parametrize(
    ("from_date", "to_date", "settled_again"),
    [
        pytest.param("2026-02-23", "2026-02-23", ["2026-02-23"], id="a Monday alone"),
        pytest.param("2026-02-19", "2026-02-20", ["2026-02-19", "2026-02-20"], id="from the day after a holiday"),
        pytest.param("2026-02-13", "2026-02-18", ["2026-02-13"], id="one day and the holidays after it"),
    ],
)
def test_a_backfill_runs_exactly_the_days_asked_for_and_changes_nothing(
    settled: RealAirflow, from_date: str, to_date: str, settled_again: list[str]
) -> None:
    books = "select count(*), sum(amount) filter (where amount > 0), max(recorded_at) from reporting.journal"
    before, journal = settled.runs(), settled.rows(books)
    settled.backfill(from_date, to_date, "--reprocess-behavior", "completed")

    def started_again() -> list[str]:
        now = settled.runs()
        return sorted(on for on in now if now[on]["start_date"] != before[on]["start_date"] and now[on]["end_date"])

    assert until("the backfill ends", lambda: (again := started_again()) == settled_again and again) == settled_again
    for on in settled_again:
        finished(settled, settled.runs()[on]["dag_run_id"])
        assert result(settled, settled.runs()[on]["dag_run_id"], "report")["already_settled"] is True
    assert settled.rows(books) == journal
    assert len(settled.user("viewer").get(f"{DAG}/dagRuns").json()["dag_runs"]) == 5, "no run that nobody asked for"


def test_a_person_triggers_a_day_with_its_date(settled: RealAirflow) -> None:
    asked = {"logical_date": None, "conf": {"settlement_date": "2026-02-20", "reason": "looked at again"}}
    run = settled.user("maker").post(f"{DAG}/dagRuns", json=asked).json()
    finished(settled, run["dag_run_id"])
    assert result(settled, run["dag_run_id"], "extract.open_day")["settlement_date"] == "2026-02-20"
    assert result(settled, run["dag_run_id"], "report")["already_settled"] is True
    query = f"select run_type, triggered_by, reason from reporting.runs where run_id = '{run['dag_run_id']}'"
    assert settled.rows(query) == [("manual", "maker", "looked at again")]


def test_what_was_paid_is_taken_back_by_a_second_persons_word_alone(settled: RealAirflow) -> None:
    halved = settled.rows(
        "select a.receivable_id from ledger.allocations a"
        " join ledger.shares s using (settlement_date, revision, position)"
        " join ledger.payouts p on p.payee_id = s.investor_id and p.settlement_date = a.settlement_date"
        " where a.settlement_date = '2026-02-19' and a.component = 'interest' and a.amount > 10000 order by 1 limit 1"
    )[0][0]
    with psycopg.connect(settled.lending_core_url.replace("+psycopg", "")) as lender:
        lender.execute("update core.receivables set amount = amount / 2 where receivable_id = %s", [halved])
    books = "select count(*), max(recorded_at) from reporting.journal"
    before = settled.rows(books)

    def asked_again() -> str:
        asked = {"logical_date": None, "conf": {"settlement_date": "2026-02-19", "reason": "half the interest"}}
        return str(settled.user("maker").post(f"{DAG}/dagRuns", json=asked).json()["dag_run_id"])

    run_id = asked_again()
    until("the run asks", lambda: is_asking(settled, run_id, "compute.distribute"))
    assert answer(settled, run_id, "Approve", user="maker", of="compute.distribute") == 403
    asks = settled.user("checker").get(f"{DAG}/dagRuns/{run_id}/taskInstances/compute.distribute/-1/hitlDetails").json()
    assert "2026-02-19" in asks["subject"] and "-R1]" in asks["body"]
    answered(settled, run_id, "Reject", state="failed")
    assert settled.rows(books) == before

    run_id = asked_again()
    answered(settled, run_id, "Approve")
    told = result(settled, run_id, "compute.distribute")
    assert told["restated"]["2026-02-19"] == 2 and told["taken_back"]["KRW"] > 0
    assert settled.rows(
        "select right(approval_id, 3), decision, decided_by from ledger.approvals where approval_id"
        " like '%-R_' order by 1"
    ) == [("-R1", "rejected", "checker"), ("-R2", "approved", "checker")]


def test_a_sunday_fails_the_first_task_at_once_and_people_hear_of_it_once(settled: RealAirflow) -> None:
    asked = {"logical_date": None, "conf": {"settlement_date": "2026-02-15"}}
    run = settled.user("maker").post(f"{DAG}/dagRuns", json=asked).json()
    finished(settled, run["dag_run_id"], "failed")
    states = task_states(settled, run["dag_run_id"])
    assert states["extract.open_day"] == ("failed", 1)
    assert states["report"][0] == "upstream_failed"
    told = f"select event, severity from reporting.alerts where dedupe_key like '%{run['dag_run_id']}%'"
    assert until("people are told", lambda: settled.rows(told)) == [("run.refused", "info")]


def test_what_is_no_date_is_refused_before_a_run_exists(settled: RealAirflow) -> None:
    asked = {"logical_date": None, "conf": {"settlement_date": "soon"}}
    refused = settled.user("maker").post(f"{DAG}/dagRuns", json=asked)
    assert refused.status_code == 400
    assert "'soon' is not a 'date'" in refused.text


def test_the_plugin_is_loaded_without_an_error(settled: RealAirflow) -> None:
    plugins = settled.user("maker").get("/api/v2/plugins").json()["plugins"]
    assert ["bank_days.BankDays"] in [plugin["timetables"] for plugin in plugins]
    assert settled.user("maker").get("/api/v2/plugins/importErrors").json()["import_errors"] == []
    assert settled.user("maker").get("/api/v2/importErrors").json()["import_errors"] == []
