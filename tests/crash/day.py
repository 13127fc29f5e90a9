"""A day as a list of steps, each run in a process that can be killed at any point.

Slack is not connected here: what its delivery commits comes after the day and has its own tests.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from settlement import wiring
from settlement.ports import DayRun, Refused, RunRequest, Services
from settlement.rehearse.points import watched
from settlement.stages import compute, extract, reconcile, report, transfer

ON = date(2026, 2, 16)
RUN = "run-1"
MORNING = "2026-02-17T06:00+09:00"
AFTERWARDS = "2026-02-23T06:00+09:00"

Step = tuple[str, Callable[[Services, datetime], Any]]


def _of_the_day(stage: Callable[..., Any], **options: Any) -> Callable[[Services, datetime], Any]:
    day = DayRun(settlement_date=ON, revision=1, run_id=RUN)
    return lambda services, now: stage(services, day, now=now, **options)


def _open(services: Services, now: datetime) -> None:
    request = RunRequest(settlement_date=ON, run_id=RUN, triggered_by="maker")
    assert extract.open_day(services, request, now=now) == DayRun(settlement_date=ON, revision=1, run_id=RUN)


def _prepare_and_be_refused(services: Services, now: datetime) -> None:
    try:
        _of_the_day(transfer.prepare)(services, now)
    except Refused as refused:
        assert "gate.limit" in str(refused)  # noqa: PT017 - a retry after the override below is not refused


def _answer_for_it(services: Services, now: datetime) -> None:
    try:
        transfer.override(services, ON, by="lead", reason="month end", now=now)
    except Refused as refused:
        assert "Nothing that somebody could answer for" in str(refused)  # noqa: PT017 - it was answered before the kill


STEPS: Sequence[Step] = (
    ("open_day", _open),
    ("freeze_inputs", _of_the_day(extract.freeze_inputs)),
    ("distribute", _of_the_day(compute.distribute)),
    ("take_in", _of_the_day(transfer.take_in)),
    ("refused", _prepare_and_be_refused),
    ("override", _answer_for_it),
    ("prepare", _of_the_day(transfer.prepare)),
    ("approval", _of_the_day(transfer.approval)),
    ("decide", _of_the_day(transfer.decide, approved=True, by="checker")),
    ("submit", _of_the_day(transfer.submit)),
    ("answers", _of_the_day(transfer.answers)),
    ("statement", _of_the_day(reconcile.statement)),
    ("match", _of_the_day(reconcile.match)),
    ("prove", _of_the_day(reconcile.prove)),
    ("report", _of_the_day(report.report)),
)


def play(
    environment: dict[str, str],
    progress: Path,
    *,
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

    names = [name for name, _ in STEPS]
    with watched(watch), wiring.services() as services:
        for name, step in STEPS[names.index(first) : names.index(last) + 1]:
            progress.write_text(name)
            step(services, datetime.fromisoformat(MORNING))
    progress.write_text("done")


def reconcile_afterwards(environment: dict[str, str]) -> None:
    """Take in what the bank booked in the days after, undisturbed."""
    os.environ.update(environment, SETTLEMENT_NOW=AFTERWARDS)
    with wiring.services() as services:
        reconcile.take_in_everything(services, now=datetime.fromisoformat(AFTERWARDS))
