"""What runs in the processes of a rehearsal: a day's steps, or what goes on between the days, until the end or a kill.

Which step a process is at stands in a file, because a killed one says nothing. It is the scheduler, the worker and the
person at the approval in one, and knows nothing of the faults.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from settlement import wiring
from settlement.domain.errors import Displaced, NotYet, Refused, Unavailable
from settlement.ports.days import DayRun, RunRequest
from settlement.ports.services import Services
from settlement.stages import (
    approve,
    compute,
    extract,
    gate,
    inquire,
    match,
    open_day,
    prepare,
    prove,
    reconcile,
    report,
    submit,
    take_in,
)

from settlement_lab.rehearse.kept import keeping
from settlement_lab.rehearse.points import watched

PROCESSES = multiprocessing.get_context("forkserver")
"""Where processes to be killed come from: a fork is had in no time, a process that imports pandas is not."""
PROCESSES.set_forkserver_preload(
    [__name__, "holidays.countries", "httpcore", "psycopg", "sqlalchemy.dialects.postgresql.psycopg"]
)

STAGES: Sequence[tuple[str, Callable[..., dict[str, Any]]]] = (
    ("freeze_inputs", extract.freeze_inputs),
    ("distribute", compute.distribute),
    ("take_in", gate.wait_for_statement),
    ("prepare", prepare.prepare),
    ("approval", approve.ask),
    ("submit", submit.submit),
    ("answers", inquire.hear_answers),
    ("statement", take_in.for_day),
    ("match", match.for_day),
    ("prove", prove.prove),
    ("report", report.report),
)
"""What a day's run does once it is opened, in the order of the DAG."""

DONE, UNAVAILABLE, REFUSED, DISPLACED, WAITING, BROKEN = 0, 3, 4, 5, 7, 8
KILLED = -signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to do. Without a settlement date: what goes on between the days."""

    now: datetime
    progress: Path
    settlement_date: date | None = None
    run_id: str = ""
    first: str = "open_day"
    answer: str = "approve"
    """What the second person says, if asked: approve, reject, or nothing."""
    kill_at: int = 0
    """Die at the so manieth passing of a point (each has two sides); 0: live."""


def serve(orders: Connection, environment: dict[str, str], log: Path) -> None:
    """Carry out the orders that come through the pipe, one after the other, and say how each ended, until killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is for whoever gives the orders
    os.environ.update(environment, SETTLEMENT_NOW="2026-01-05T06:00+09:00")
    with log.open("a", encoding="utf-8", buffering=1) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        killer = _Killer()
        with watched(killer.passes), wiring.services() as built, keeping(built) as services:
            while True:
                order: Order = orders.recv()
                killer.passed, killer.at = 0, order.kill_at
                orders.send(_carry_out(services, order))


def _carry_out(services: Services, order: Order) -> int:
    os.environ["SETTLEMENT_NOW"] = order.now.isoformat()
    try:
        return _settle(services, order) if order.settlement_date else _between_days(services, order)
    except Displaced as error:
        return _said(DISPLACED, error)
    except Refused as error:
        return _said(REFUSED, error)
    except (Unavailable, NotYet) as error:
        return _said(UNAVAILABLE, error)
    except Exception:
        traceback.print_exc()
        return BROKEN


def _settle(services: Services, order: Order) -> int:
    on, now = order.settlement_date, order.now
    assert on is not None
    day = DayRun(settlement_date=on, revision=1, run_id=order.run_id)
    asked: dict[str, Any] = {}

    def opened() -> None:
        request = RunRequest(settlement_date=on, run_id=order.run_id, triggered_by="maker", reason="rehearsal")
        nonlocal day
        day = open_day.open_day(services, request, now=now)

    def approval() -> None:
        asked.update(approve.ask(services, day, triggered_by="maker", now=now))

    def decide() -> None:
        question = asked or approve.ask(services, day, triggered_by="maker", now=now)
        if question["needed"] and order.answer:
            approve.decide(services, day, approved=order.answer == "approve", by="checker", now=now)
        elif question["needed"]:
            raise _Unanswered

    def run(stage: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: stage(services, day, now=now)

    asking = [("approval", approval), ("decide", decide)]
    steps: list[tuple[str, Callable[[], Any]]] = [("open_day", opened)]
    for name, stage in STAGES:
        steps += asking if name == "approval" else [(name, run(stage))]
    names = [name for name, _ in steps]
    for name, step in steps[names.index(order.first) :]:
        order.progress.write_text(name)
        try:
            step()
        except _Unanswered:
            return WAITING
    return DONE


def _between_days(services: Services, order: Order) -> int:
    order.progress.write_text("between")
    reconcile.take_in_everything(services, now=order.now)
    return DONE


class _Unanswered(Exception):
    """The second person has not answered so far."""


@dataclass
class _Killer:
    """Kills this process at the passing of a point that it was told."""

    passed: int = 0
    at: int = 0

    def passes(self, _point: str, _side: str) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def _said(status: int, error: Exception) -> int:
    print(f"{type(error).__name__}: {error}")
    return status
