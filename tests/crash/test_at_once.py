"""The same task twice at once, a run displaced by another, a run cleared from each task: one outcome, paid once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from settlement.adapters.ledger.books import PostgresLedger
from settlement.domain import policy
from settlement.ports.days import DayRun, RunRequest

from . import day
from .conftest import World

BOOKED = "select investor_id, amount, state from reporting.payouts order by 1"
PAID = [("A", 43790, "booked"), ("B", 26736, "booked"), ("C", 17524, "booked")]


def at_bank(world: World) -> list[int]:
    return sorted(payment["amount"] for payment in world.bank.payments())


def before(step: str) -> str:
    return day.NAMES[day.NAMES.index(step) - 1]


@pytest.mark.slow
@pytest.mark.parametrize("step", day.NAMES)
def test_a_task_that_runs_twice_at_once_does_its_work_once(new_world: Callable[..., Any], step: str) -> None:
    with new_world() as world:
        if step != day.NAMES[0]:
            assert world.play(last=before(step)) == 0
        twins = [world.start(first=step, last=step) for _ in range(2)]
        for twin in twins:
            twin.join(120)
        assert [twin.exitcode for twin in twins] == [0, 0]
        if step != day.NAMES[-1]:
            assert world.play(first=day.NAMES[day.NAMES.index(step) + 1]) == 0
        world.outcome()
        assert world.rows(BOOKED) == PAID
        assert at_bank(world) == [17524, 26736, 43790]


@pytest.mark.slow
def test_a_run_cleared_from_each_of_its_tasks_changes_nothing_more(new_world: Callable[..., Any]) -> None:
    with new_world() as world:
        assert world.play() == 0
        for name in reversed(day.NAMES):
            if name not in ("open_day", "refused", "override"):
                assert world.play(first=name) == 0
        world.outcome()
        assert world.rows(BOOKED) == PAID
        assert at_bank(world) == [17524, 26736, 43790]


@pytest.mark.slow
@pytest.mark.parametrize("step", day.NAMES[1:])
def test_a_backfill_beside_a_run_displaces_it_wherever_it_is(new_world: Callable[..., Any], step: str) -> None:
    with new_world() as world:
        assert world.play(last=before(step)) == 0
        beside = world.start(first=step)
        backfill = world.start(run_id="backfill-1")
        for process in (beside, backfill):
            process.join(120)
        # The run stops, or was at its end before; the backfill may trip over what it did meanwhile, and is tried again.
        assert beside.exitcode in (0, 1)
        assert world.play(run_id="backfill-1") == 0
        assert world.play(first=step) != 0, "a displaced run goes on"
        world.outcome()
        assert world.rows(BOOKED) == PAID
        assert at_bank(world) == [17524, 26736, 43790]


def test_two_whole_runs_of_a_day_at_once_pay_it_once(new_world: Callable[..., Any]) -> None:
    with new_world() as world:
        twins = [world.start() for _ in range(2)]
        for twin in twins:
            twin.join(120)
        # One may trip over what the other has done meanwhile; whoever is tried again finishes.
        assert world.play() == 0
        world.outcome()
        assert world.rows(BOOKED) == PAID
        assert at_bank(world) == [17524, 26736, 43790]


@contextmanager
def ledger(url: str) -> Iterator[PostgresLedger]:
    engine = sa.create_engine(url, connect_args={"application_name": "settlement"})
    yield PostgresLedger(engine, alerts=policy.Alerts())
    engine.dispose()


def test_a_lock_that_waits_says_on_whom(settlement_db_url: str) -> None:
    on = date(2026, 2, 16)
    now = datetime.fromisoformat("2026-02-17T06:00+09:00")
    run = DayRun(settlement_date=on, revision=1, run_id="run-1")
    with ledger(settlement_db_url) as books_of, structlog.testing.capture_logs() as logs:
        with books_of.books(settlement_date=on) as books:
            books.days.open(RunRequest(settlement_date=on, run_id="run-1"), settlement_date=on, now=now)
        with books_of.books(day=run):

            def second() -> None:
                with books_of.books(day=run):
                    pass

            waiting = threading.Thread(target=second)
            waiting.start()
            deadline = time.monotonic() + 10
            while not logs and time.monotonic() < deadline:
                time.sleep(0.05)
        waiting.join(10)
    (said,) = logs
    assert (said["event"], said["lock"]) == ("waiting_for_lock", "settlement date 2026-02-16")
    assert said["held_by"]["application_name"] == "settlement run-1"
