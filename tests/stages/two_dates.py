"""Two settlement dates that share loans, computed at once: one is held still at a point while the other goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from settlement import wiring
from settlement.adapters.ledger import copying, frames_io
from settlement.adapters.lending_core import source
from settlement.adapters.snapshots import ParquetSnapshots
from settlement.domain.errors import Refused
from settlement.ports.days import DayRun, RunRequest
from settlement.ports.services import Services
from settlement.stages import close, compute, extract, open_day

DAY = Path(__file__).parent.parent / "days" / "2026-02-16"
FIRST, SECOND = date(2026, 2, 16), date(2026, 2, 19)
NOW = datetime.fromisoformat("2026-02-20T06:00:00+09:00")

# What the first date does, the second needs: the position of L1 and what of R1 is held, and that R3 was settled, which
# the second takes back.
MORE = """
insert into core.loans values ('L2', 'KRW', '2026-01-15');
insert into core.notes values ('N4', 'L2', 1000);
insert into core.note_holdings values ('N4', 'C', '2026-01-15', null);
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values
  ('L1-2-P', 'L1', 2, 'principal', '2026-02-19', 7000),
  ('L2-1-P', 'L2', 1, 'principal', '2026-02-16', 500);
insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id) values
  ('R2', 'L1', '2026-02-19 11:00+09', 90000, null),
  ('R3', 'L2', '2026-02-16 12:00+09', 300, null),
  ('R4', 'L2', '2026-02-19 12:00+09', 400, null),
  ('U3', 'L2', '2026-02-19 10:00+09', 300, 'R3');
"""


@dataclass
class TwoDates:
    """The books of both dates, without a bank."""

    ledger_url: str

    @contextmanager
    def services(self) -> Iterator[Services]:
        with wiring.services() as services:
            yield services

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        engine = sa.create_engine(self.ledger_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.exec_driver_sql(sql)]
        engine.dispose()
        return found

    def is_anybody_waiting(self) -> bool:
        """Tell whether a transaction on the books waits for another."""
        (row,) = self.rows(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        return bool(row[0])

    def outcome(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that both dates came to, their inputs and outcomes byte for byte."""
        return {
            "revisions": self.rows(
                "select settlement_date::text, revision, input_sha256, output_sha256 from ledger.revisions order by 1"
            ),
            "repayments": self.rows(
                "select repayment_id, state, settled_on::text, reversed_by from ledger.repayments order by 1"
            ),
            "balances": self.rows("select account, currency, amount from ledger.balances order by 1, 2"),
        }


def fill(core_url: str) -> None:
    engine = sa.create_engine(core_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql((DAY / "core.sql").read_text(encoding="utf-8"))
        connection.exec_driver_sql(MORE)
    engine.dispose()


def configure(monkeypatch: pytest.MonkeyPatch, *, core_url: str, ledger_url: str, snapshots: Path) -> TwoDates:
    for name, url in {"LENDING_CORE": core_url, "SETTLEMENT_DB": ledger_url}.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"conn_type": "generic", "extra": {"url": url}}))
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(snapshots))
    monkeypatch.setenv("SETTLEMENT_POLICY", str(DAY / "policy.toml"))
    return TwoDates(ledger_url=ledger_url)


def opened(services: Services, on: date, *, run_id: str = "") -> DayRun:
    return open_day.open_day(services, RunRequest(settlement_date=on, run_id=run_id or f"run-{on}"), now=NOW)


def computed(services: Services, day: DayRun) -> None:
    extract.freeze_inputs(services, day, now=NOW)
    compute.distribute(services, day, now=NOW)


def verified(services: Services) -> list[str]:
    return [found["row"] for found in close.verify(services)]


@dataclass
class Stop:
    """Holds one thread still at the nth point that it passes, until it is let go."""

    at: int
    names: list[str] = field(default_factory=list)
    thread: threading.Thread | None = None  # not its number, which the next thread is given again
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def passes(self, name: str) -> None:
        if threading.current_thread() is not self.thread:
            return
        self.names.append(name)
        if len(self.names) == self.at:
            self.reached.set()
            assert self.go_on.wait(60), f"nobody let go of who stands at [{name}]"


@contextmanager
def stopping(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the thread pass a point before every statement, copy and commit on the books, and on both sides of every
    reading of positions and of the source and of every writing and reading of a snapshot."""

    def before_statement(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        stop.passes(" ".join(statement.split())[:60])

    def before_commit(_connection: Any) -> None:
        stop.passes("commit")

    def told(owner: Any, name: str, *, is_after: bool = False) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def calling(*arguments: Any, **named: Any) -> Any:
            stop.passes(f"before {name}")
            answer = real(*arguments, **named)
            if is_after:
                stop.passes(f"after {name}")
            return answer

        patch.setattr(owner, name, calling)

    with monkeypatch.context() as patch:
        told(frames_io, "columns", is_after=True)
        told(copying, "frame_into")
        for name in ("digests", "received", "repayments", "loans", "positions", "investors", "receivables"):
            told(source.Snapshot, name, is_after=name == "receivables")
        told(ParquetSnapshots, "freeze", is_after=True)
        told(ParquetSnapshots, "load", is_after=True)
        sa.event.listen(sa.Engine, "before_cursor_execute", before_statement)
        sa.event.listen(sa.Engine, "commit", before_commit)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", before_statement)
            sa.event.remove(sa.Engine, "commit", before_commit)


def at_once(
    books: TwoDates, services: Services, monkeypatch: pytest.MonkeyPatch, *, held: DayRun, other: DayRun, at: int
) -> tuple[Stop, dict[date, Refused]]:
    """Compute both at once: `held` stands still at its nth point until `other` is done, or waits for it.

    Both may be the same day: two processes of one run. Returns the points that `held` passed, and which of the dates
    was refused.
    """
    stop, refused, failed = Stop(at=at), dict[date, Refused](), list[BaseException]()

    def work(day: DayRun, *, is_held: bool) -> None:
        if is_held:
            stop.thread = threading.current_thread()
        try:
            computed(services, day)
        except Refused as error:
            refused[day.settlement_date] = error
        except BaseException as error:
            failed.append(error)

    with stopping(stop, monkeypatch):
        first, second = (
            threading.Thread(target=work, args=(day,), kwargs={"is_held": is_held}, daemon=True)
            for day, is_held in ((held, True), (other, False))
        )
        first.start()
        while first.is_alive() and not stop.reached.wait(0.01):
            pass
        second.start()
        until = time.monotonic() + 60
        while second.is_alive() and stop.reached.is_set() and not books.is_anybody_waiting():
            second.join(0.02)
            assert time.monotonic() < until, f"the other date neither ends nor waits, at {stop.names[-1:]}"
        stop.go_on.set()
        for thread in (first, second):
            thread.join(60)
            assert not thread.is_alive(), f"a date never ends, held at {stop.names[at - 1 : at]}"
    if failed:
        raise failed[0]
    return stop, refused
