"""What did not happen in time, what changed behind the day's back, what is over, and the alerts themselves."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from settlement.domain.alerts.event import Event, Money, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineRisk(Event):
    """The day may not be settled in time."""

    name: ClassVar[str] = "deadline.risk"
    level: ClassVar[Severity] = Severity.WARNING

    step: str
    minutes_left: int
    deadline_at: datetime
    waits_for: str = ""

    @property
    def key(self) -> str:
        return "risk"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineMissed(Event):
    """The day was not settled in time."""

    name: ClassVar[str] = "deadline.missed"
    level: ClassVar[Severity] = Severity.CRITICAL

    step: str
    minutes_late: int
    deadline_at: datetime
    waits_for: str = ""

    @property
    def key(self) -> str:
        return "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAbsent(Event):
    """A settlement date has no run although its time has come."""

    name: ClassVar[str] = "run.absent"
    level: ClassVar[Severity] = Severity.CRITICAL

    expected_at: datetime
    reason: str
    last_good_date: date | None = None

    @property
    def key(self) -> str:
        return "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLate(Event):
    """Something that the day needs has not come."""

    name: ClassVar[str] = "input.late"
    level: ClassVar[Severity] = Severity.WARNING
    standing: ClassVar[bool] = True

    source: str
    expected_at: datetime

    @property
    def key(self) -> str:
        return f"input:{self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChanged(Event):
    """Something that a settled day was computed from is no longer what it was."""

    name: ClassVar[str] = "input.changed"
    level: ClassVar[Severity] = Severity.WARNING
    standing: ClassVar[bool] = True

    source: str
    count: int
    amounts: tuple[Money, ...] = ()
    change: str = ""

    @property
    def key(self) -> str:
        return f"input:{self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningAbsent(Event):
    """Loans of a date were paid before the first date that is settled here, and no opening says so.

    What that money paid counts as unpaid, so it would be settled a second time.
    """

    name: ClassVar[str] = "opening.absent"
    level: ClassVar[Severity] = Severity.WARNING

    first_date: date
    loan_count: int
    receipt_count: int
    amounts: tuple[Money, ...]

    @property
    def key(self) -> str:
        return "opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(Event):
    """A problem told of before has ended. `problem` is the `key` of the event that told of it."""

    name: ClassVar[str] = "resolved"

    problem: str
    problem_event: str
    after_minutes: int = 0

    @property
    def key(self) -> str:
        return f"resolved:{self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAcknowledged(Event):
    """Somebody has taken a critical problem on: it is over when it is, and nobody is reminded of it any more."""

    name: ClassVar[str] = "alert.acknowledged"

    problem: str
    problem_event: str
    by: str
    at: datetime

    @property
    def key(self) -> str:
        return f"acknowledged:{self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsUndelivered(Event):
    """Slack has not taken critical messages; told by e-mail, at most once an hour."""

    name: ClassVar[str] = "alerts.undelivered"
    level: ClassVar[Severity] = Severity.CRITICAL
    opens_thread: ClassVar[bool] = True

    at: datetime
    count: int
    oldest_at: datetime
    code: str

    @property
    def dedupe_key(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        return f"undelivered:{self.at:%Y-%m-%dT%H}"

    @property
    def thread(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Event):
    """The watch is alive: told once a calendar day (its date here), so that silence means something."""

    name: ClassVar[str] = "heartbeat"
    opens_thread: ClassVar[bool] = True

    last_date: date | None
    state: str
    next_run_at: datetime | None
    queue_depth: int

    @property
    def key(self) -> str:
        return "heartbeat"

    @property
    def thread(self) -> str:
        return self.dedupe_key
