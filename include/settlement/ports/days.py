"""Settlement dates and their runs: what the tasks hand to each other, and what the books know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowRun:
    """What Airflow says of a run: its conf and its params as they are, its interval where it has one.

    `clear_number` counts how often the run was cleared, by a person or by a backfill that runs it again.
    """

    run_id: str
    run_type: str
    triggered_at: datetime
    triggered_by: str | None = None
    logical_date: datetime | None = None
    interval: tuple[datetime, datetime] | None = None
    conf: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    clear_number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a run was asked to do. Without a settlement date the stage chooses the one that is due.

    `kept_conf` is the conf, as JSON, of a run that was cleared: Airflow keeps it unless a backfill brings another.
    """

    settlement_date: date | None
    run_id: str
    run_type: str = "manual"
    triggered_by: str | None = None
    reason: str | None = None
    dry_run: bool = False
    transfer: bool = True
    clear_number: int = 0
    kept_conf: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRun:
    """One run at one settlement date: what the tasks hand to each other. `revision` is the one this run works on."""

    settlement_date: date
    revision: int
    run_id: str
    run_type: str = "manual"
    backfill_id: str | None = None
    dry_run: bool = False
    transfer: bool = True
    clear_number: int = 0
    kept_conf: str | None = None

    @property
    def is_paying(self) -> bool:
        """Whether the run may move money: not on a dry run, and not when it was asked to compute and book only."""
        return self.transfer and not self.dry_run

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, for XCom."""
        return asdict(self) | {"settlement_date": self.settlement_date.isoformat()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the record that `to_json` wrote."""
        return cls(**{**value, "settlement_date": date.fromisoformat(value["settlement_date"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """A try of a task that ended badly, or a run that did: then without a task, unless Airflow says which it was."""

    settlement_date: date | None
    run_id: str
    run_type: str = "manual"
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0
    error: str
    next_try_at: datetime | None = None
    log_url: str | None = None

    @property
    def code(self) -> str:
        """What kind of end it was, by which failures are grouped: the kind of the exception."""
        return self.error.split(":", 1)[0][:60] or "failed"


class Days(Protocol):
    """Settlement dates, their runs and which of them may write."""

    def open(self, request: RunRequest, *, settlement_date: date, now: datetime) -> DayRun: ...
    def hold_fence(self, day: DayRun) -> None: ...
    def find(self, settlement_date: date) -> Mapping[str, Any] | None: ...
    def set_state(self, settlement_date: date, state: str, *, now: datetime, failure: str | None = None) -> None: ...
    def run(self, run_id: str) -> dict[str, Any] | None: ...
    def payout_sums(self, settlement_date: date) -> list[dict[str, Any]]: ...
    def end_run(self, day: DayRun, *, outcome: str, now: datetime) -> None: ...
    def note_controls(self, on: date, names: Sequence[str], *, is_held: bool, now: datetime) -> None: ...
    def controls_of(self, on: date) -> dict[str, bool]: ...
    def newest(self) -> date | None: ...
    def settled(self) -> list[date]: ...
    def unclosed(self) -> list[date]: ...
    def totals(self, settlement_date: date) -> list[dict[str, Any]]: ...


class Backfills(Protocol):
    """Which runs are one backfill."""

    def join(self, *, now: datetime) -> str: ...
    def end(self, backfill_id: str, *, now: datetime) -> dict[str, Any]: ...
    def silent(self, *, since: datetime) -> list[str]: ...
