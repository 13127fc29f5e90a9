"""What people are told: one frozen record per event, with typed fields only.

A record says what happened, how much money it touches and what decides its severity; it knows its dedupe key, the
thread it belongs to and the failures it is shown together with. Nothing here renders, stores or sends.

What always holds:
- Fields are dates, codes, counts, amounts beside their currency, masked accounts and our ids. No name of a person.
- The same event has the same `dedupe_key` whoever records it, so that a second record is a conflict, not a message.
- In a backfill nothing is critical unless money would move.

An event is added by its record here and its entry in the two catalogues of the Slack adapter.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal, Protocol

from settlement.domain import redaction

Severity = Literal["info", "warning", "critical"]
Language = Literal["ko", "en"]
Step = Literal["extract", "compute", "transfer", "reconcile"]
StepState = Literal["running", "waiting", "done", "failed"]
MoneyState = Literal["not_started", "prepared", "sent", "unknown", "rejected"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
STEPS: tuple[Step, ...] = ("extract", "compute", "transfer", "reconcile")

EMAIL = "email"
"""The channel of what only e-mail can tell: that Slack does not take messages, or that no channel wants a critical."""

SHOWN_BREAKS = 10
REPEAT_EVERY = timedelta(minutes=30)
REPEATS = 6
EMAIL_AFTER = timedelta(minutes=5)


class ChannelPolicy(Protocol):
    """A channel of the policy's `[[alerts.channels]]`."""

    @property
    def id(self) -> str: ...
    @property
    def severities(self) -> Sequence[Severity]: ...
    @property
    def language(self) -> Language | None: ...
    @property
    def backfills(self) -> bool: ...


class AlertsPolicy(Protocol):
    """The policy's `[alerts]`."""

    @property
    def language(self) -> Language: ...
    @property
    def channels(self) -> Sequence[ChannelPolicy]: ...
    @property
    def email_to(self) -> Sequence[str]: ...
    @property
    def mention(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units beside its currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people are told. `settlement_date` names the thread; without one the message stands alone."""

    name: ClassVar[str]
    level: ClassVar[Severity] = "info"
    standing: ClassVar[bool] = False
    """The message keeps standing and is edited as later events of the same key arrive (the day's root message)."""
    opens_thread: ClassVar[bool] = False
    """The message is the root of its thread, not a reply in it."""
    recurs: ClassVar[bool] = False
    """Once it is resolved, the same thing is news again."""

    settlement_date: date | None
    backfill_id: str | None = None

    @property
    def severity(self) -> Severity:
        """How loud it is; in a backfill at most a warning, unless money would move."""
        own = self.own_severity()
        return "warning" if own == "critical" and self.backfill_id and not self.moves_money else own

    @property
    def dedupe_key(self) -> str:
        """The date and what happened: equal for everybody who tells of the same thing."""
        return f"{self.settlement_date.isoformat()}:{self.key}" if self.settlement_date else self.key

    @property
    def key(self) -> str:
        """The part of the dedupe key after the date."""
        raise NotImplementedError

    @property
    def thread(self) -> str:
        """The root message that this one belongs under: the backfill's, the settlement date's, or its own."""
        if self.backfill_id:
            return f"backfill:{self.backfill_id}"
        return f"day:{self.settlement_date.isoformat()}" if self.settlement_date else self.dedupe_key

    @property
    def group(self) -> str | None:
        """Failures of one group are shown as one message; None stands alone."""
        return None

    @property
    def covered_by(self) -> str | None:
        """The beginning of the keys of more exact news about the same thing: after those, this one is mute."""
        return None

    @property
    def covers(self) -> str | None:
        """The beginning of the keys of less exact news about the same thing: this one takes the place of those."""
        return None

    @property
    def slot(self) -> str:
        """Where a standing message keeps this event; a later event of the same slot replaces it."""
        return self.name

    def own_severity(self) -> Severity:
        """The severity outside a backfill."""
        return self.level

    @property
    def moves_money(self) -> bool:
        """Whether money has moved or is about to because of it."""
        return False


# ------------------------------------------------------------------------------------------------------- the day


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEvent(Event):
    """An event that edits the root message of its settlement date (in a backfill: the backfill's)."""

    standing: ClassVar[bool] = True
    opens_thread: ClassVar[bool] = True

    revision: int = 1
    run_id: str = ""

    @property
    def dedupe_key(self) -> str:
        return summary_key(self.thread)

    @property
    def key(self) -> str:
        return "summary"

    @property
    def slot(self) -> str:
        return f"{self.settlement_date}/{self.name}" if self.backfill_id else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStarted(DayEvent):
    """A run took the settlement date on."""

    name: ClassVar[str] = "day.started"

    repayment_count: int
    expected: tuple[Money, ...] = ()
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayProgress(DayEvent):
    """A step of the day began or ended."""

    name: ClassVar[str] = "day.progress"

    step: Step
    state: StepState
    at: datetime
    row_count: int = 0

    @property
    def slot(self) -> str:
        own = f"{self.name}/{self.step}"
        return f"{self.settlement_date}/{own}" if self.backfill_id else own


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyTotals:
    """What one currency of the day came to, as in `reporting.settlement_days`."""

    currency: str
    repayment_count: int
    received_amount: int
    distributed_amount: int
    fee_amount: int = 0
    vat_amount: int = 0
    national_tax_amount: int = 0
    local_tax_amount: int = 0
    cost_amount: int = 0
    credit_amount: int = 0
    quarantined_amount: int = 0

    @property
    def unexplained_amount(self) -> int:
        """What the day's identity leaves over; anything but zero is shown as such."""
        return self.received_amount - (
            self.distributed_amount
            + self.fee_amount
            + self.vat_amount
            + self.national_tax_amount
            + self.local_tax_amount
            + self.cost_amount
            + self.credit_amount
            + self.quarantined_amount
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutTotals:
    """The payouts of the day in one currency: what the bank booked, what is under way, and what is not."""

    currency: str
    paid_count: int = 0
    paid_amount: int = 0
    in_transit_count: int = 0
    in_transit_amount: int = 0
    held_count: int = 0
    held_amount: int = 0
    unknown_count: int = 0
    unknown_amount: int = 0
    rejected_count: int = 0
    rejected_amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakTotal:
    """The open breaks of one cause in one currency."""

    cause: str
    count: int
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchTotals:
    """How much of what the bank said we agree with, in one currency."""

    currency: str
    line_count: int
    matched_count: int
    line_amount: int
    matched_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCompleted(DayEvent):
    """What the day came to when its last step ended, and again when the bank has shown all of it."""

    name: ClassVar[str] = "day.completed"

    state: str
    completed_at: datetime | None = None
    deadline_at: datetime | None = None
    totals: tuple[CurrencyTotals, ...] = ()
    payouts: tuple[PayoutTotals, ...] = ()
    matches: tuple[MatchTotals, ...] = ()
    breaks: tuple[BreakTotal, ...] = ()
    controls_passed: int = 0
    controls_total: int = 0

    @property
    def break_count(self) -> int:
        return sum(total.count for total in self.breaks)

    def own_severity(self) -> Severity:
        return "warning" if self.breaks or any(payouts.unknown_count for payouts in self.payouts) else "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSummary(Event):
    """A backfill has gone through its days."""

    name: ClassVar[str] = "backfill.summary"
    standing: ClassVar[bool] = True
    opens_thread: ClassVar[bool] = True

    ok_count: int
    changed_count: int
    failed_count: int
    difference_paid: tuple[Money, ...] = ()

    @property
    def dedupe_key(self) -> str:
        return summary_key(self.thread)

    @property
    def key(self) -> str:
        return f"backfill:{self.backfill_id}"


# ------------------------------------------------------------------------------------------------------ the tasks


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
class MoneyStatus:
    """How far the day's money has come: the first thing a person asks when something failed."""

    state: MoneyState
    count: int = 0
    amounts: tuple[Money, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(Event):
    """A task failed for good. A run that failed without a failed task is told with an empty `task`."""

    name: ClassVar[str] = "task.failed"
    level: ClassVar[Severity] = "critical"

    run_id: str
    task: str
    map_index: int = -1
    try_number: int
    code: str
    error: str = ""
    money: MoneyStatus = MoneyStatus(state="not_started")
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
        return self.money.state in ("sent", "unknown", "rejected")


# ----------------------------------------------------------------------------------------------------- the payouts


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutsUnknown(Event):
    """Payouts went to the bank and its answer did not come back."""

    name: ClassVar[str] = "payouts.unknown"
    level: ClassVar[Severity] = "critical"
    recurs: ClassVar[bool] = True

    count: int
    amounts: tuple[Money, ...]
    inquiry_at: datetime | None = None

    @property
    def key(self) -> str:
        return "unknown"

    @property
    def moves_money(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutsRejected(Event):
    """The bank refused payouts, for one of its reasons."""

    name: ClassVar[str] = "payouts.rejected"
    level: ClassVar[Severity] = "warning"

    code: str
    count: int
    amounts: tuple[Money, ...]

    @property
    def key(self) -> str:
        return f"rejected:{self.code}"

    @property
    def moves_money(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNeeded(Event):
    """The day's payouts are above the limit and wait for a second person."""

    name: ClassVar[str] = "approval.needed"
    level: ClassVar[Severity] = "warning"
    standing: ClassVar[bool] = True

    batch: str
    count: int
    amounts: tuple[Money, ...]
    limits: tuple[Money, ...] = ()
    expires_at: datetime | None = None
    run_id: str = ""

    @property
    def key(self) -> str:
        return f"approval:{self.batch}"

    @property
    def moves_money(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDone(Event):
    """Somebody decided about the payouts that waited; nobody in time is a rejection by `timeout`."""

    name: ClassVar[str] = "approval.done"
    standing: ClassVar[bool] = True

    batch: str
    approved: bool
    by: str
    at: datetime

    @property
    def key(self) -> str:
        return f"approval:{self.batch}"

    @property
    def moves_money(self) -> bool:
        return self.approved


# ------------------------------------------------------------------------------------------------------ the breaks


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakLine:
    """One break as shown in a table."""

    break_id: str
    cause: str
    amount: Money
    age_business_days: int = 0
    subject_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreaksOpened(Event):
    """Findings that somebody must look at. `breaks` are the largest, `digest` names the whole set."""

    name: ClassVar[str] = "breaks.opened"
    level: ClassVar[Severity] = "warning"

    digest: str
    count: int
    unmatched: tuple[Money, ...]
    breaks: tuple[BreakLine, ...]
    oldest_business_days: int = 0
    missing_payout_count: int = 0
    doubled_payout_count: int = 0

    @property
    def key(self) -> str:
        return f"breaks:{self.digest}"

    def own_severity(self) -> Severity:
        return "critical" if self.missing_payout_count or self.doubled_payout_count else self.level

    @property
    def moves_money(self) -> bool:
        return bool(self.missing_payout_count or self.doubled_payout_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreaksAged(Event):
    """The daily digest of breaks that nobody has closed for long."""

    name: ClassVar[str] = "breaks.aged"
    level: ClassVar[Severity] = "warning"

    over_three_count: int
    over_three: tuple[Money, ...]
    over_seven_count: int
    over_seven: tuple[Money, ...]

    @property
    def key(self) -> str:
        return "aged"


# ------------------------------------------------------------------------------------- time, inputs and controls


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineRisk(Event):
    """The day may not be settled in time."""

    name: ClassVar[str] = "deadline.risk"
    level: ClassVar[Severity] = "warning"

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
    level: ClassVar[Severity] = "critical"

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
    level: ClassVar[Severity] = "critical"

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
    level: ClassVar[Severity] = "warning"
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
    level: ClassVar[Severity] = "warning"
    standing: ClassVar[bool] = True

    source: str
    count: int
    amounts: tuple[Money, ...] = ()
    change: str = ""

    @property
    def key(self) -> str:
        return f"input:{self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlBroken(Event):
    """A control stopped the day before money moved."""

    name: ClassVar[str] = "control.broken"
    level: ClassVar[Severity] = "critical"

    control: str
    problem: str

    @property
    def key(self) -> str:
        return f"control:{self.control}"


# ----------------------------------------------------------------------------------------- the alerts themselves


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
class AlertsUndelivered(Event):
    """Slack has not taken critical messages; told by e-mail, at most once an hour."""

    name: ClassVar[str] = "alerts.undelivered"
    level: ClassVar[Severity] = "critical"
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


EVENTS: dict[str, type[Event]] = {
    event.name: event
    for event in (
        DayStarted,
        DayProgress,
        TaskRetry,
        TaskFailed,
        PayoutsUnknown,
        PayoutsRejected,
        ApprovalNeeded,
        ApprovalDone,
        BreaksOpened,
        DayCompleted,
        Resolved,
        DeadlineRisk,
        DeadlineMissed,
        RunAbsent,
        InputLate,
        InputChanged,
        ControlBroken,
        BreaksAged,
        BackfillSummary,
        AlertsUndelivered,
        Heartbeat,
    )
}


# ---------------------------------------------------------------------------------------------------------- rules


def summary_key(thread: str) -> str:
    """Return the dedupe key of a thread's root message."""
    return f"{thread.removeprefix('day:')}:summary" if thread.startswith("day:") else thread


def recipients(event: Event, policy: AlertsPolicy) -> list[str]:
    """Return the channels that get the event: those that want its severity, backfills in their own.

    A critical that no channel wants goes out by e-mail: whatever dies, a person hears of it.
    """
    if isinstance(event, AlertsUndelivered):
        return [EMAIL]
    wanting = [channel for channel in policy.channels if event.severity in channel.severities]
    if any(channel.backfills for channel in policy.channels):
        wanting = [channel for channel in wanting if channel.backfills == bool(event.backfill_id)]
    return [channel.id for channel in wanting] or ([EMAIL] if event.severity == "critical" else [])


def closes(event: Event) -> frozenset[str]:
    """Return the names of the events of the same settlement date that this event proves to be over."""
    if isinstance(event, DayStarted):
        return frozenset({"run.absent"})
    if isinstance(event, DayCompleted):
        over = {"run.absent", "task.failed", "deadline.risk", "deadline.missed", "control.broken"}
        if not event.breaks:
            over.add("breaks.opened")
        return frozenset(over)
    return frozenset()


def digest(ids: Iterable[str]) -> str:
    """Return a short name for a set of ids: the same set has the same name, in whatever order it comes."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
