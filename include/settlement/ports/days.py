"""Settlement dates and their runs: what the tasks hand to each other, and what the books know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from settlement.domain.days import DayState, Window
    from settlement.domain.payments.state import PayoutState


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
    """A try of a task that ended badly, or a run that did: then without a task, unless Airflow says which it was.

    `is_refused`: what the run was asked cannot be done, so nothing began; `asked_by` triggered it, where somebody did.
    """

    settlement_date: date | None
    run_id: str
    run_type: str = "manual"
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0
    error: str
    next_try_at: datetime | None = None
    log_url: str | None = None
    is_refused: bool = False
    asked_by: str | None = None

    @property
    def code(self) -> str:
        """What kind of end it was, by which failures are grouped: the kind of the exception."""
        return self.error.split(":", 1)[0][:60] or "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A settlement date that was opened. `revision` is the newest computed one, 0 where there is none yet.

    `run_id` is the run to which it belongs: the only one that may write.
    """

    settlement_date: date
    state: DayState
    revision: int
    run_id: str
    opened_at: datetime
    settled_at: datetime | None
    closed_at: datetime | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at a settlement date; `outcome` is None while it is under way, or where it ended without a word."""

    run_id: str
    settlement_date: date
    revision: int
    run_type: str
    backfill_id: str | None
    triggered_by: str | None
    reason: str | None
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledDate:
    """A settlement date that is settled or closed, as it stands: `sha256` is the hash of what its newest revision
    computed, `run_id` the run to which it belongs.
    """

    settlement_date: date
    revision: int
    state: DayState
    sha256: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutSum:
    """How many payouts of a date stand in one state and currency, and their amount in whole minor units."""

    currency: str
    state: PayoutState
    count: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotals:
    """What a date came to in one currency, in whole minor units: `received` is all the other amounts together."""

    currency: str
    repayment_count: int
    received_amount: int
    distributed_amount: int
    fee_amount: int
    vat_amount: int
    national_tax_amount: int
    local_tax_amount: int
    cost_amount: int
    credit_amount: int
    quarantined_amount: int
    refunded_amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillEnd:
    """What a backfill came to: days that are ok, changed and failed, and what it paid by currency."""

    ok: int
    changed: int
    failed: int
    paid: Mapping[str, int]


class Days(Protocol):
    """Settlement dates, their runs and which of them may write."""

    def open(self, request: RunRequest, *, settlement_date: date, now: datetime) -> DayRun:
        """Open the day for this run, which displaces any other, and return what the run works on.

        A dry run opens nothing.
        """
        ...

    def hold_fence(self, day: DayRun) -> None:
        """Prove that the day still names this run, and keep it so until the transaction ends.

        Raises Displaced: it names another.
        """

    def find(self, settlement_date: date) -> Day | None:
        """Return the day, or None where it was never opened."""
        ...

    def set_state(self, settlement_date: date, state: DayState, *, now: datetime, failure: str | None = None) -> None:
        """Say where the day stands; the first time that it is settled or closed keeps its instant."""

    def run(self, run_id: str) -> Run | None:
        """Return one run: who triggered it, why, and how it ended; None where no day was opened in its name."""
        ...

    def payout_sums(self, settlement_date: date | None) -> list[PayoutSum]:
        """Return how many payouts of a date, or of all, stand in each state, and their amount, by currency."""
        ...

    def end_run(self, day: DayRun, *, outcome: str, now: datetime) -> None:
        """Keep how the run ended."""

    def note_controls(self, on: date, names: Sequence[str], *, is_held: bool, now: datetime) -> None:
        """Keep what came of controls that ran for a date; the newest result of each stands."""

    def controls_of(self, on: date) -> dict[str, bool]:
        """Return which controls ran for a date, and whether each held."""
        ...

    def newest(self) -> date | None:
        """Return the newest settlement date that was opened, or None before the first."""
        ...

    def settled(self) -> list[date]:
        """Return the settlement dates whose outcome is posted, oldest first."""
        ...

    def settled_since(self, since: datetime) -> list[SettledDate]:
        """Return the dates that were settled, restated or closed at that instant or later, oldest first.

        A run that found its date settled and changed nothing did not settle it.
        """
        ...

    def begun_before(self, settlement_date: date) -> list[date]:
        """Return the older dates that a run has taken on and none has posted, oldest first."""
        ...

    def windows(self) -> dict[date, Window]:
        """Return the window of each settled date, as it was when the date was settled; older books lack some."""
        ...

    def keep_window(self, settlement_date: date, window: Window) -> None:
        """Keep the window of a date that is being settled; one that it has stays.

        Raises IntegrityError: it overlaps with that of another date.
        """

    def is_newest(self, settlement_date: date) -> bool:
        """Tell whether no date after this one is settled: a run of it sees everything that is open."""
        ...

    def unclosed(self) -> list[date]:
        """Return the settled days that are not closed, oldest first."""
        ...

    def totals(self, settlement_date: date) -> list[DayTotals]:
        """Return the newest revision's totals, one for each currency."""
        ...


class Backfills(Protocol):
    """Which runs are one backfill. Airflow tells no task the number of its own; these are ours."""

    def join(self, *, now: datetime) -> str:
        """Return the id of the backfill that is under way, which begins if there is none."""
        ...

    def end(self, backfill_id: str, *, now: datetime) -> BackfillEnd:
        """End a backfill and return what it came to.

        A day is changed when it had been computed before; its run that ended without a word has failed.
        """
        ...

    def silent(self, *, since: datetime) -> list[str]:
        """Return the backfills under way of which no run has begun or ended since then."""
        ...
