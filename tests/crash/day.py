"""A day as a list of steps, each run in a process that can be killed at any point.

Slack is not connected here: what its delivery commits comes after the day and has its own tests.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from settlement import wiring
from settlement.domain.errors import Displaced, Refused
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
    take_back,
    take_in,
)
from settlement_lab.rehearse.points import watched
from settlement_lab.servers import bank as demo_bank

ON = date(2026, 2, 16)
MORNING = "2026-02-17T06:00+09:00"
AFTERWARDS = "2026-02-23T06:00+09:00"

Step = Callable[[Services, DayRun, datetime], Any]


def _stage(stage: Callable[..., Any], **options: Any) -> Step:
    return lambda services, run, now: stage(services, run, now=now, **options)


def _open(services: Services, run: DayRun, now: datetime) -> None:
    request = RunRequest(
        settlement_date=run.settlement_date, run_id=run.run_id, triggered_by="maker", reason="the source was corrected"
    )
    assert replace(open_day.open_day(services, request, now=now), revision=run.revision) == run


def _distribute_with_a_second_person(services: Services, run: DayRun, now: datetime) -> None:
    try:
        compute.distribute(services, run, now=now)
    except Displaced:
        raise
    except Refused as refused:
        if "needs a second person" not in str(refused):
            raise
        take_back.approve(services, run.settlement_date, by="checker", now=now)
        compute.distribute(services, run, now=now)


def _prepare_and_be_refused(services: Services, run: DayRun, now: datetime) -> None:
    try:
        prepare.prepare(services, run, now=now)
    except Displaced:
        raise
    except Refused as refused:
        assert "gate.limit" in str(refused)  # noqa: PT017 - a retry after the override below is not refused


def _answer_for_it(services: Services, run: DayRun, now: datetime) -> None:
    try:
        gate.override(services, run.settlement_date, by="lead", reason="month end", now=now)
    except Refused as refused:
        assert "Nothing that somebody could answer for" in str(refused)  # noqa: PT017 - it was answered before the kill


def _close(services: Services, run: DayRun, now: datetime) -> None:
    """Let the bank book what it took, and reconcile: the day, which is its month's only one, is closed."""
    found = json.loads(os.environ["AIRFLOW_CONN_SETTLEMENT_BANK"])
    bank = demo_bank.Bank(url=f"http://{found['host']}:{found['port']}")
    bank.advance_to(datetime.fromisoformat(AFTERWARDS).date())
    reconcile.take_in_everything(services, now=datetime.fromisoformat(AFTERWARDS))


STEPS: dict[str, Step] = {
    "open_day": _open,
    "freeze_inputs": _stage(extract.freeze_inputs),
    "distribute": _distribute_with_a_second_person,
    "take_in": _stage(gate.wait_for_statement),
    "refused": _prepare_and_be_refused,
    "override": _answer_for_it,
    "prepare": _stage(prepare.prepare),
    "approval": _stage(approve.ask),
    "decide": _stage(approve.decide, approved=True, by="checker"),
    "submit": _stage(submit.submit),
    "answers": _stage(inquire.hear_answers),
    "statement": _stage(take_in.for_day),
    "match": _stage(match.for_day),
    "prove": _stage(prove.prove),
    "report": _stage(report.report),
    "close": _close,
}
NAMES = list(STEPS)


def play(
    environment: dict[str, str],
    progress: Path,
    *,
    run_id: str = "run-1",
    first: str = "open_day",
    last: str = "report",
    kill: tuple[str, str, int] | None = None,
    trace: Path | None = None,
) -> None:
    """Run the steps from `first` to `last`; note each as it begins; die at the nth passing of (point, side)."""
    os.environ.update(environment, SETTLEMENT_NOW=MORNING)
    passed: dict[tuple[str, str], int] = {}

    def watch(point: str, side: str) -> None:
        passed[point, side] = passed.get((point, side), 0) + 1
        if trace is not None and side == "before":
            with trace.open("a", encoding="utf-8") as file:
                print(progress.read_text(), point, file=file)
        if kill == (point, side, passed[point, side]):
            os.kill(os.getpid(), signal.SIGKILL)

    run = DayRun(settlement_date=ON, revision=1, run_id=run_id)
    with watched(watch), wiring.services() as services:
        for name in NAMES[NAMES.index(first) : NAMES.index(last) + 1]:
            progress.write_text(name)
            STEPS[name](services, run, datetime.fromisoformat(MORNING))
    progress.write_text("done")


def reconcile_afterwards(environment: dict[str, str]) -> None:
    """Take in what the bank booked in the days after, undisturbed."""
    os.environ.update(environment, SETTLEMENT_NOW=AFTERWARDS)
    with wiring.services() as services:
        reconcile.take_in_everything(services, now=datetime.fromisoformat(AFTERWARDS))
