"""Tasks and runs that failed, with how far the day's money had come by then."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from settlement.domain.alerts import redaction
from settlement.domain.alerts.event import Event, Money, Severity


class MoneyState(StrEnum):
    """How far the day's money has come; where no date is meant, that of all dates, or `AT_REST`."""

    AT_REST = "at_rest"
    NOT_STARTED = "not_started"
    PREPARED = "prepared"
    SENT = "sent"
    UNKNOWN = "unknown"
    REJECTED = "rejected"

    @property
    def has_left(self) -> bool:
        """Whether the bank has been asked to move it."""
        return self in (MoneyState.SENT, MoneyState.UNKNOWN, MoneyState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetry(Event):
    """A task failed and will be tried again by itself."""

    name: ClassVar[str] = "task.retry"

    run_id: str
    task: str
    map_index: int = -1
    try_number: int
    code: str
    next_try_at: datetime | None = None
    log_url: str | None = None

    @property
    def key(self) -> str:
        return f"retry:{self.run_id}:{self.task}:{self.map_index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRefused(Event):
    """A run was asked what cannot be done: nothing began, nothing waits, and nobody is paged.

    It stands alone, for the date that was asked may be none that is ever settled. A run that nobody triggered was
    meant to settle a date, so that its refusal is a warning.
    """

    name: ClassVar[str] = "run.refused"
    opens_thread: ClassVar[bool] = True

    run_id: str
    run_type: str = "manual"
    try_number: int
    asked_by: str | None = None
    error: str = ""
    log_url: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", redaction.free_text(self.error))

    @property
    def key(self) -> str:
        return f"refused:{self.run_id}" + (f":{self.try_number}" if self.try_number > 1 else "")

    @property
    def thread(self) -> str:
        return self.dedupe_key

    @property
    def is_of_backfill(self) -> bool:
        return self.run_type == "backfill"

    def own_severity(self) -> Severity:
        return Severity.INFO if self.run_type == "manual" else Severity.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyStatus:
    """How far the day's money has come: the first thing a person asks when something failed."""

    state: MoneyState
    count: int = 0
    amounts: tuple[Money, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(Event):
    """A task failed for good. A run that failed without a failed task is told with an empty `task`."""

    name: ClassVar[str] = "task.failed"
    level: ClassVar[Severity] = Severity.CRITICAL

    run_id: str
    task: str
    map_index: int = -1
    try_number: int
    code: str
    error: str = ""
    money: MoneyStatus = MoneyStatus(state=MoneyState.NOT_STARTED)
    deadline_at: datetime | None = None
    log_url: str | None = None

    def __post_init__(self) -> None:
        # What an exception says is the one free text of all events: it is made safe before anybody can store it.
        object.__setattr__(self, "error", redaction.free_text(self.error))

    @property
    def key(self) -> str:
        return f"failed:{self.run_id}:{self.task}:{self.map_index}:{self.try_number}"

    @property
    def group(self) -> str | None:
        return f"{self.run_id}:{self.task}:{self.try_number}:{self.code}" if self.map_index >= 0 else None

    @property
    def covered_by(self) -> str | None:
        return None if self.task else f"failed:{self.run_id}:"

    @property
    def covers(self) -> str | None:
        return f"failed:{self.run_id}::" if self.task else None

    @property
    def moves_money(self) -> bool:
        return self.money.state.has_left
