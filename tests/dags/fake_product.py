"""Run `daily_settlement` through Airflow with stages that only note that they were called.

A program of its own: Airflow reads its settings when it is imported, and the fakes must stay out of other tests. It
plays every scenario in one process and prints what happened as JSON.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from settlement.domain.days import BankCalendar, DayState, SettlementCalendar
from settlement.domain.errors import Broken, NotYet, Refused, RequestRefused, Unapproved, Unavailable
from settlement.ports.days import DayRun, SettledDate

STAGES = {
    "open_day": {"open_day": "open_day"},
    "extract": {"freeze_inputs": "freeze_inputs"},
    "compute": {"distribute": "distribute"},
    "take_back": {"ask": "take_back", "decide": "taken_back"},
    "gate": {"wait_for_statement": "take_in"},
    "prepare": {"prepare": "prepare"},
    "approve": {"ask": "approval", "decide": "decide"},
    "submit": {"submit": "submit"},
    "inquire": {"hear_answers": "answers"},
    "take_in": {"for_day": "statement"},
    "match": {"for_day": "match"},
    "prove": {"prove": "prove"},
    "reconcile": {"take_in_everything": "take_in_everything"},
    "report": {"report": "report"},
    "notify": {name: name for name in ("task_failed", "task_retry", "run_failed")},
}
"""The functions of each stage, and the name under which a call is told: mostly that of the task."""

CALENDAR = SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank")), timezone="Asia/Seoul")

calls: list[tuple[str, dict[str, Any]]] = []
errors: dict[str, list[Exception]] = {}
opened: dict[str, types.SimpleNamespace] = {}
settled: dict[date, SettledDate] = {}
"""What the books hold as settled; the stage `announce` is the real one, and reads it."""


def main() -> None:
    install_fakes()
    from airflow.dag_processing.dagbag import BundleDagBag

    def play(
        asked: dict[str, Any],
        failing: dict[str, list[Exception]] | None = None,
        dag_id: str = "daily_settlement",
        **run: Any,
    ) -> dict[str, Any]:
        # Read anew each time: in one process, Airflow keeps what one run was asked in the parameters of the next.
        folder = sys.argv[1]
        bag = BundleDagBag(dag_folder=folder, bundle_path=Path(folder), bundle_name="dags-folder")
        dag = bag.dags[dag_id]
        for task in dag.tasks:
            task.retry_delay = timedelta(seconds=1)
            task.max_retry_delay = timedelta(seconds=1)
        calls.clear()
        errors.clear()
        errors.update(failing or {})
        ended = dag.test(run_conf=asked, **run)
        return {
            "state": ended.state,
            "run_id": ended.run_id,
            "note": note_of(ended.run_id),
            "announced": announced_by(ended.run_id),
            "calls": [name for name, _ in calls],
            "arguments": dict(calls),
            "tries": {ti.task_id: ti.try_number for ti in ended.get_task_instances()},
            "states": {ti.task_id: ti.state for ti in ended.get_task_instances()},
        }

    sys.path.append(sys.argv[1])
    import task_rules

    now, minute = datetime.now(UTC), timedelta(minutes=1)
    waits = [
        task_rules.wait_until_asked_again(now + left, now=now).total_seconds()
        for left in (60 * minute, minute, -minute)
    ]
    task_rules.ASK_AGAIN_AT_THE_EARLIEST = timedelta(seconds=1)  # nothing is lost here: the scheduler is this process
    soon = now + timedelta(seconds=1)
    results: dict[str, Any] = {
        "a day": play({"settlement_date": "2026-02-13", "reason": "asked by hand"}, logical_date=None),
        "a bare date": play({}, logical_date=datetime(2026, 2, 9, tzinfo=UTC)),
        "no date": play({"dry_run": True, "transfer": False}, logical_date=None),
        "misspelt": play({"settlement_date": "2026-02-12", "dryrun": True}),
        "refused": play({"settlement_date": "2026-02-15"}, {"open_day": [RequestRefused("[2026-02-15] is a Sunday")]}),
        "present moment": play({}, {"distribute": [Refused("no")]}, logical_date=datetime.now(UTC)),
        "dry": play({"settlement_date": "2026-02-13", "dry_run": True}, logical_date=None),
        "broken": play({}, {"distribute": [Broken("entries_balance", "an entry sums to [1 KRW]")]}),
        "nobody to ask": play(
            {}, {"distribute": [Unapproved("takes back")], "take_back": [Refused("the only approver is [dag_test]")]}
        ),
        "unavailable": play({}, {"take_in": [Unavailable("the bank [127.0.0.1:9] did not answer")]}),
        "not yet": play({}, {"take_in": [NotYet("the statement has not come", until=soon)]}),
        "waits": waits,
        "deaf": play({"settlement_date": "2026-02-05"}, {"settled_since": [OSError("no answer")]}, logical_date=None),
    }
    for on in (date(2026, 2, 9), date(2026, 2, 13)):
        settled[on] = replace(settled[on], state=DayState.CLOSED)
    run_again(results["a bare date"]["run_id"])
    results["between the days"] = play({}, dag_id="bank_reconciliation", logical_date=None)
    print(json.dumps(results, default=str))


def note_of(run_id: str) -> str | None:
    """Return the note that the scheduler gives a run which has ended; `dag.test` holds its run outside of a session."""
    import run_notes
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.run_id == run_id)).one()
        run_notes.RunNotes().on_dag_run_success(run, "success")
        return str(run.note) if run.note else None


def announced_by(run_id: str) -> list[dict[str, Any]]:
    """Return what the asset events of a run say, and of which asset, in their order."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_run_id == run_id).order_by(AssetEvent.id))
        return [{"asset": event.asset.name, **event.extra} for event in events]


def run_again(run_id: str) -> None:
    """Let Airflow have a run as one that is under way."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state="running"))


def install_fakes() -> None:
    for module, functions in STAGES.items():
        fake = types.ModuleType(f"settlement.stages.{module}")
        for function, name in functions.items():
            setattr(fake, function, stage(name))
        sys.modules[fake.__name__] = fake
        import settlement.stages

        setattr(settlement.stages, module, fake)

    @contextmanager
    def services() -> Iterator[Any]:
        yield types.SimpleNamespace(
            calendar=CALENDAR,
            alerts=types.SimpleNamespace(deliver=lambda **_: None),
            ledger=types.SimpleNamespace(books=books),
        )

    @contextmanager
    def books(**_: Any) -> Iterator[Any]:
        yield types.SimpleNamespace(days=types.SimpleNamespace(run=opened.get, settled_since=settled_since))

    def settled_since(_: datetime) -> list[SettledDate]:
        if errors.get("settled_since"):
            raise errors["settled_since"].pop(0)
        return [settled[on] for on in sorted(settled)]

    wiring = types.ModuleType("settlement.wiring")
    wiring.services = wiring.notifications = services  # type: ignore[attr-defined]  # a fake module has what it is given
    sys.modules["settlement.wiring"] = wiring
    import settlement

    settlement.wiring = wiring


def stage(name: str) -> Callable[..., Any]:
    def called(services: Any, subject: Any = None, **arguments: Any) -> Any:
        if subject is not None:
            arguments["subject"] = asdict(subject)
        calls.append((name, arguments))
        if errors.get(name):
            raise errors[name].pop(0)
        if name == "open_day":
            on = subject.settlement_date or date(2026, 2, 12)
            opened[subject.run_id] = types.SimpleNamespace(settlement_date=on)
            return DayRun(
                settlement_date=on,
                revision=1,
                run_id=subject.run_id,
                dry_run=subject.dry_run,
                transfer=subject.transfer,
            )
        if name == "report" and not subject.dry_run:
            settled.setdefault(
                subject.settlement_date,
                SettledDate(
                    settlement_date=subject.settlement_date,
                    revision=1,
                    state=DayState.SETTLED,
                    sha256="5e77ed",
                    run_id=subject.run_id,
                ),
            )
        if name == "approval":
            return {"needed": False}
        return {"stage": name}

    return called


if __name__ == "__main__":
    main()
