"""Payouts that somebody must hear of: unknown, rejected, waiting for a second person, or to be taken back."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from settlement.domain.alerts.day import RevisedDate
from settlement.domain.alerts.event import Event, Money, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutsUnknown(Event):
    """Payouts went to the bank and its answer did not come back.

    `ask_about` are the files that are not sent again by themselves: a person asks the bank about them.
    """

    name: ClassVar[str] = "payouts.unknown"
    level: ClassVar[Severity] = Severity.CRITICAL
    recurs: ClassVar[bool] = True

    count: int
    amounts: tuple[Money, ...]
    inquiry_at: datetime | None = None
    ask_about: tuple[str, ...] = ()

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
    level: ClassVar[Severity] = Severity.WARNING

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
class PayoutLine:
    """One payout, by whom it pays."""

    payee_id: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the same weekday usually pays out, the median of so many, and the date's total as per cent of it."""

    amount: Money
    weeks: int
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNeeded(Event):
    """The day's payouts are above the limit and wait for a second person.

    `distributed` is what the date distributed to investors, of which the payouts may be more or less: balances are
    paid, with what stood before and without what is held.
    """

    name: ClassVar[str] = "approval.needed"
    level: ClassVar[Severity] = Severity.WARNING
    standing: ClassVar[bool] = True

    batch: str
    count: int
    amounts: tuple[Money, ...]
    limits: tuple[Money, ...] = ()
    distributed: tuple[Money, ...] = ()
    usual: tuple[Usual, ...] = ()
    largest: tuple[PayoutLine, ...] = ()
    expires_at: datetime | None = None
    run_id: str = ""

    @property
    def key(self) -> str:
        return f"approval:{self.batch}"

    @property
    def moves_money(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Event):
    """Somebody answered what was put to a second person; nobody in time is a rejection by `timeout`."""

    standing: ClassVar[bool] = True

    batch: str
    approved: bool
    by: str
    at: datetime

    @property
    def key(self) -> str:
        return f"{self.name.partition('.')[0]}:{self.batch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDone(Decided):
    """Somebody decided about the payouts that waited."""

    name: ClassVar[str] = "approval.done"

    @property
    def moves_money(self) -> bool:
        return self.approved


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingBackNeeded(Event):
    """A run would take back what was paid out, and waits for a second person; its date stands as it stood.

    `dates` are the settled ones that would have these revisions; `difference` and `taken_back` as in `DayRestated`.
    """

    name: ClassVar[str] = "taking_back.needed"
    level: ClassVar[Severity] = Severity.WARNING
    standing: ClassVar[bool] = True

    batch: str
    dates: tuple[RevisedDate, ...]
    difference: tuple[Money, ...]
    taken_back: tuple[Money, ...]
    expires_at: datetime | None = None
    run_id: str = ""

    @property
    def key(self) -> str:
        return f"taking_back:{self.batch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingBackDone(Decided):
    """Somebody decided about what a run would take back."""

    name: ClassVar[str] = "taking_back.done"
