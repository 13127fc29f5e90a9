"""The settlement day as people are told of it: its steps, its totals, the control that stopped it, its backfill."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Literal

from settlement.domain.alerts import redaction
from settlement.domain.alerts.event import Event, Money, Severity, summary_key


class Step(StrEnum):
    """The steps of a day, in the order in which they come."""

    EXTRACT = "extract"
    COMPUTE = "compute"
    TRANSFER = "transfer"
    RECONCILE = "reconcile"


class StepState(StrEnum):
    """How far a step of a day has come."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


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
    refunded_amount: int = 0

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
            + self.refunded_amount
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutTotals:
    """The payouts of the day in one currency: what the bank booked, what it has, what is with us."""

    currency: str
    paid_count: int = 0
    paid_amount: int = 0
    prepared_count: int = 0
    prepared_amount: int = 0
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
    """The open breaks of one cause in one currency; of one kind of subject, where that makes them another thing."""

    cause: str
    count: int
    amount: Money
    subject_kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchTotals:
    """How much of what the bank said we agree with, in one currency; and how many lines by amount and date alone."""

    currency: str
    line_count: int
    matched_count: int
    line_amount: int
    matched_amount: int
    by_amount_count: int = 0


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
        is_amiss = self.breaks or any(payouts.unknown_count for payouts in self.payouts)
        return Severity.WARNING if is_amiss else Severity.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisedDate:
    """A settled date and its newest revision, which a restatement gives it."""

    settlement_date: date
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRestated(Event):
    """A run has changed what was settled: on its own date, or on dates that were settled before it and lie after it.

    `dates` are all that have a new revision, oldest first; `loans` the first of those that were run again. `difference`
    is what investors have more than before, net, and `taken_back` what they were paid of it and own no more.
    """

    name: ClassVar[str] = "day.restated"

    run_id: str
    dates: tuple[RevisedDate, ...]
    why: str = ""
    asked_by: str = ""
    loan_count: int = 0
    loans: tuple[str, ...] = ()
    difference: tuple[Money, ...] = ()
    taken_back: tuple[Money, ...] = ()

    def __post_init__(self) -> None:
        # A person wrote it: it is made safe before anybody can store it.
        object.__setattr__(self, "why", redaction.free_text(self.why))

    @property
    def key(self) -> str:
        # No two restatements give one date one revision, so the first names all of them.
        first = self.dates[0]
        return f"restated:{self.run_id}:{first.settlement_date.isoformat()}:{first.revision}"

    def own_severity(self) -> Severity:
        return Severity.WARNING if self.taken_back else Severity.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class DayDryRun(Event):
    """A dry run computed the day; nothing was booked, paid or sent, and this is the one message of it.

    It stands alone: the day's own message tells of what was done. `kept_conf` is what a run that was cleared was asked
    before and still is; then nobody may have meant a dry run, and each such run is told of. Where settled dates would
    change, `dates`, `difference` and `taken_back` say how, as in `DayRestated`.
    """

    name: ClassVar[str] = "day.dry_run"
    opens_thread: ClassVar[bool] = True

    run_id: str
    run_type: str = "manual"
    clear_number: int = 0
    kept_conf: str = ""
    finding: Literal["would_settle", "would_restate", "is_settled"] = "would_settle"
    totals: tuple[CurrencyTotals, ...] = ()
    owed: tuple[Money, ...] = ()
    dates: tuple[RevisedDate, ...] = ()
    difference: tuple[Money, ...] = ()
    taken_back: tuple[Money, ...] = ()

    @property
    def key(self) -> str:
        return f"dry:{self.run_id}" + (f":{self.clear_number}" if self.clear_number else "")

    @property
    def thread(self) -> str:
        return self.dedupe_key

    @property
    def is_of_backfill(self) -> bool:
        return self.run_type == "backfill"

    def own_severity(self) -> Severity:
        return Severity.WARNING if self.kept_conf else Severity.INFO


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlBroken(Event):
    """A control stopped the day before money moved. `stands` is the revision that a settled date keeps, 0: none."""

    name: ClassVar[str] = "control.broken"
    level: ClassVar[Severity] = Severity.CRITICAL

    control: str
    problem: str
    stands: int = 0

    @property
    def key(self) -> str:
        return f"control:{self.control}"
