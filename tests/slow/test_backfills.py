"""A real Airflow settles 22 past business days by one backfill whose past changes under it; 20 more dates by everybody
at once; and three in every other way that `airflow backfill create` has. Then the same dates are settled in order with
the final facts, without Airflow, and both stand at the same place.

Not measured as a whole: some 120 runs of twelve tasks. A run took half a minute to three on 2 cores that several other
jobs shared, so it is hours there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from .backfilled import ANNOUNCED, ASKING, COLLECTED, MONTH, MORNING, REFUSED, REST, STORM
from .test_scheduler import DAG, RealAirflow, answered, finished, is_asking, result, running, task_states, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(14_400)]

HOUR = 3_600
ROWS = ("revisions", "entries", "postings", "allocations", "shares", "payouts", "payout_files", "breaks")
TOLD = (
    "select o.event, o.dedupe_key from ledger.alert_outbox o join ledger.alert_roots r using (root_id)"
    " where o.event not in ('thread', 'day.dry_run') and r.thread !~ '^backfill:([2-9]|1.)' order by 1, 2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The lender of `backfilled`, its books and its Airflow."""

    airflow: RealAirflow
    endpoints: services.Endpoints
    policy: Path

    def runs(self, condition: str) -> list[tuple[Any, ...]]:
        """Return (run id, type, state, settlement date) of runs of the DAG, as Airflow's own database knows them."""
        query = (
            "select run_id, run_type, state, (data_interval_end at time zone 'Asia/Seoul' - interval '1 us')::date"
            f" from dag_run where dag_id = 'daily_settlement' and {condition} order by id"
        )
        return self.of_airflow(query)

    def of_airflow(self, query: str) -> list[tuple[Any, ...]]:
        url = self.endpoints.postgres.airflow_url.replace("+psycopg2", "")
        with psycopg.connect(url) as connection:
            return connection.execute(query.encode()).fetchall()

    def run_of(self, on: date) -> str:
        """Return the id of the run that has this date of its own."""
        return next(str(run_id) for run_id, _, _, of in self.runs("run_type <> 'manual'") if of == on)

    def backfill(self, dates: tuple[date, ...], *options: str) -> None:
        self.airflow.backfill(str(dates[0]), str(dates[-1]), *options)

    def trigger(self, on: date, **conf: Any) -> str:
        """Trigger a run by hand, as the maker does in Airflow's pages; return its id."""
        asked = {"logical_date": None, "conf": {"settlement_date": str(on)} | conf}
        answer = self.airflow.user("maker").post(f"{DAG}/dagRuns", json=asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["dag_run_id"])

    def pause(self, *, is_paused: bool) -> None:
        self.airflow.user("maker").patch(DAG, json={"is_paused": is_paused}).raise_for_status()

    def until_quiet(self) -> None:
        """Wait until no run is left to be run."""
        until("every run has ended", lambda: not self.runs("state in ('queued', 'running')"), seconds=2 * HOUR)

    def offered(self, dates: tuple[date, ...]) -> list[str]:
        """Return the starts of the windows that a backfill over these dates would run."""
        command = ("backfill", "create", "--dag-id", "daily_settlement", "--dry-run")
        between = ("--from-date", str(dates[0]), "--to-date", str(dates[-1]), "--reprocess-behavior", "completed")
        return re.findall(r"\| (\S+ 15:00:00)\+00:00", self.airflow.airflow(*command, *between).stdout)

    def moved(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what a run could add to: rows, payouts, what the bank has, and what people are told.

        What a backfill after the first says of itself in its own thread, and a dry run of itself, is not among it.
        """
        rows = {name: self.airflow.rows(f"select count(*) from ledger.{name}") for name in ROWS}
        bank = [(len(self.endpoints.bank.payments()), self.endpoints.bank.balance("PLATFORM"))]
        return rows | {"bank": bank, "told": self.airflow.rows(TOLD)}

    def logs(self) -> str:
        """Return all that the tasks of the DAG have said."""
        folder = airflow_home.folder(self.endpoints.home) / "logs" / "dag_id=daily_settlement"
        return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*.log"))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    home = tmp_path_factory.mktemp("home")
    with services.running(home) as endpoints:
        airflow_home.migrate(endpoints)
        backfilled.begin(endpoints)
        policy = backfilled.write_policy(home / "past.toml", last=MONTH[-1], asks=True, tax_falls=False)
        with running(endpoints, now=MORNING, policy=policy) as airflow:
            until("the DAG is parsed", lambda: airflow.user("viewer").get(DAG).status_code == 200)
            yield Ground(airflow=airflow, endpoints=endpoints, policy=policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds that the first backfill took: on the clock, and in its tasks."""

    wall: float
    tasks: float


@pytest.fixture(scope="module")
def month(ground: Ground) -> Took:
    """Settle the month by one backfill; while one of its dates asks, the past and the policy change.

    A person then has the oldest date run again, which carries the changes through all dates that are settled.
    """
    began = time.monotonic()
    ground.backfill(MONTH)
    ground.pause(is_paused=False)
    asking = ground.run_of(ASKING)
    until(f"[{ASKING}] asks", lambda: is_asking(ground.airflow, asking), seconds=HOUR)
    backfilled.change(ground.endpoints)
    backfilled.write_policy(ground.policy, last=MONTH[-1], asks=True)
    again = ground.trigger(MONTH[0], reason="the lender corrected its rows")
    finished(ground.airflow, again)
    answered(ground.airflow, asking, "Approve")
    ground.until_quiet()
    ((tasks,),) = ground.of_airflow("select sum(duration) from task_instance where run_id like 'backfill__%'")
    return Took(wall=time.monotonic() - began, tasks=tasks)


def test_a_month_is_settled_in_order_and_what_changed_under_it_is_posted_as_differences(
    ground: Ground, month: Took
) -> None:
    assert [(kind, state, on) for _, kind, state, on in ground.runs("true") if kind == "backfill"] == [
        ("backfill", "success", on) for on in MONTH
    ]
    first_settled = "select settlement_date from ledger.revisions where revision = 1 order by computed_at, 1"
    assert [on for (on,) in ground.airflow.rows(first_settled)] == list(MONTH)
    corrected = "select settlement_date, revision, reason from reporting.revisions where revision > 1 order by 1, 2"
    before_the_change = MONTH[MONTH.index(COLLECTED) + 1 : MONTH.index(ASKING) + 1]
    assert ground.airflow.rows(corrected) == [(on, 2, "the lender corrected its rows") for on in before_the_change]
    reversed_on = "select settlement_date from ledger.entries where event = 'repayment_reversed'"
    assert {on for (on,) in ground.airflow.rows(reversed_on)} == {REFUSED}


def test_a_second_backfill_of_the_month_adds_no_row_no_payout_and_no_message(ground: Ground, month: Took) -> None:
    before = ground.moved()
    ground.backfill(MONTH, "--reprocess-behavior", "completed", "--max-active-runs", "4")
    asked = {"dag_id": "daily_settlement", "from_date": str(MONTH[0]), "to_date": str(MONTH[-1])}
    refused = ground.airflow.user("maker").post("/api/v2/backfills", json=asked)
    assert (refused.status_code, "already" in refused.text) == (409, True), refused.text
    ground.until_quiet()
    assert ground.moved() == before
    reports = [result(ground.airflow, ground.run_of(on), "report") for on in MONTH]
    assert [report["already_settled"] for report in reports] == [True] * len(MONTH)


@pytest.fixture(scope="module")
def storm(ground: Ground, month: Took) -> list[date]:
    """Have each date run by the scheduler, by hand as soon as its scheduled run is there, and by backfills behind them.

    Returns the dates in the order in which backfills took them on.
    """
    backfilled.write_policy(ground.policy, last=STORM[-1])
    by_hand: set[date] = set()
    taken: list[date] = []
    deadline = time.monotonic() + 3 * HOUR
    while len(taken) < len(STORM):
        assert time.monotonic() < deadline
        time.sleep(2)
        of_scheduler = {on: state for _, kind, state, on in ground.runs("run_type = 'scheduled'")}
        for on in sorted(of_scheduler.keys() - by_hand):
            ground.trigger(on, reason="by hand")
            by_hand.add(on)
        ended = [on for on in STORM if of_scheduler.get(on) in ("success", "failed")]
        if ended and not ground.of_airflow("select 1 from backfill where completed_at is null"):
            ground.backfill(
                (ended[0], ended[-1]), "--reprocess-behavior", "completed", "--run-backwards", "--max-active-runs", "3"
            )
            taken += ended
    ground.until_quiet()
    return taken


def test_a_backfill_runs_by_hand_and_the_scheduled_run_at_once_end_each_date_without_a_deadlock(
    ground: Ground, storm: list[date]
) -> None:
    assert sorted(storm) == list(STORM)
    said = ground.logs()
    assert "deadlock" not in said.lower()
    waits = [line for line in said.splitlines() if "waiting_for_lock" in line or "waits for [" in line]
    assert waits, "whoever waits says for what"
    assert all("held_by" in line for line in waits if "waiting_for_lock" in line), waits
    for run_id, *_ in ground.runs("state = 'failed'"):
        tasks = task_states(ground.airflow, run_id)
        (failed,) = [task for task, (state, _) in tasks.items() if state == "failed"]
        of_task = f"run_id={run_id}/task_id={failed}"
        folder = airflow_home.folder(ground.endpoints.home) / "logs" / "dag_id=daily_settlement" / of_task
        assert any("Displaced" in path.read_text(errors="replace") for path in folder.iterdir()), of_task
    states = "select distinct state from reporting.settlement_days"
    assert {state for (state,) in ground.airflow.rows(states)} <= {"settled", "settled_with_breaks", "closed"}
    before = ground.moved()
    ground.backfill(STORM, "--reprocess-behavior", "failed")
    ground.until_quiet()
    assert ground.runs("state = 'failed' and run_type <> 'manual'") == []
    told = {"told": before["told"]}  # that what failed is over
    assert ground.moved() | told == before


@pytest.fixture(scope="module")
def rest(ground: Ground, storm: list[date]) -> None:
    """Announce a holiday of dates that are not settled, and let Airflow read it while nothing runs."""
    ground.pause(is_paused=True)
    backfilled.write_policy(ground.policy, last=REST[-1], closed=True)
    windows = [f"{on} 15:00:00" for on in (STORM[-1], *REST[:-2])]
    until("Airflow has read the policy", lambda: ground.offered(REST) == windows, seconds=300)


def test_each_way_to_create_a_backfill_does_what_it_says_and_a_holiday_announced_late_is_no_date_of_it(
    ground: Ground, rest: None
) -> None:
    before = ground.moved()
    several = ("--max-active-runs", "3")
    ground.backfill(REST, *several, "--dag-run-conf", json.dumps({"dry_run": True}))
    ground.pause(is_paused=False)
    ground.until_quiet()
    opened = [on for on in REST if on != ANNOUNCED]
    assert [on for _, _, _, on in ground.runs("run_type = 'backfill'")][-len(opened) :] == opened
    assert ground.moved() == before

    for behaviour in ("none", "failed"):
        ground.backfill(REST, *several, "--reprocess-behavior", behaviour)
        assert ground.runs("state in ('queued', 'running')") == []
    why = f"select exception_reason from backfill_dag_run order by id desc limit {2 * len(opened)}"
    assert ground.of_airflow(why) == [("already exists",)] * 2 * len(opened)

    again = (*several, "--reprocess-behavior", "completed")
    ground.backfill(REST, *again, "--run-backwards", "--dag-run-conf", json.dumps({"transfer": False}))
    ground.until_quiet()
    unpaid = ground.moved()
    assert (unpaid["payouts"], unpaid["bank"]) == (before["payouts"], before["bank"])
    booked = (
        f"select settlement_date, state from reporting.settlement_days where settlement_date >= '{REST[0]}' order by 1"
    )
    assert ground.airflow.rows(booked) == [(on, "computed") for on in opened]

    ground.backfill(REST, *again, "--dag-run-conf", "{}")
    ground.until_quiet()
    assert {state for _, state in ground.airflow.rows(booked)} <= {"settled", "settled_with_breaks"}

    refused = ground.trigger(ANNOUNCED)
    finished(ground.airflow, refused, "failed")
    told = "select value -> 'fields' ->> 'error' from ledger.alert_outbox, jsonb_each(payload)"
    told += f" where value ->> 'event' = 'run.refused' and value -> 'fields' ->> 'run_id' = '{refused}' limit 1"
    ((error,),) = until("people are told", lambda: ground.airflow.rows(told))
    assert "the policy closes it (announced late)" in error


def test_books_and_bank_end_where_settling_in_order_with_the_final_facts_ends(
    ground: Ground, month: Took, rest: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = backfilled.write_policy(tmp_path / "policy.toml", last=REST[-1], closed=True)
    with services.running(tmp_path / "home") as endpoints:
        backfilled.begin(endpoints)
        backfilled.change(endpoints)
        stages = 0.0
        with backfilled.product(endpoints, policy) as opened:
            for on in (on for on in backfilled.DATES if on != ANNOUNCED):
                began = time.monotonic()
                day = open_day.open_day(opened, RunRequest(settlement_date=on, run_id=f"run-{on}"), now=MORNING)
                for _, stage in STAGES:
                    stage(opened, day, now=MORNING)
                stages += time.monotonic() - began if on in MONTH else 0
        in_order = backfilled.end_state(endpoints, policy)
    assert backfilled.end_state(ground.endpoints, ground.policy) == in_order
    assert in_order["breaks"] == []
    with capsys.disabled():
        print(
            f"\n{len(MONTH)} dates by backfill took {month.wall:.0f} s; its tasks {month.tasks:.0f} s, their processes"
            f" and imports included; the same stages in one process {stages:.0f} s"
        )
