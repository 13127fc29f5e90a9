"""What people are told: one frozen record per event, with typed fields only.

A record says what happened, how much money it touches and what decides its severity; it knows its dedupe key, the
thread it belongs to and the failures it is shown together with. Nothing here renders, stores or sends.

What always holds:
- Fields are dates, codes, counts, amounts beside their currency, masked accounts and our ids. No name of a person.
- The same event has the same `dedupe_key` whoever records it, so that a second record is a conflict, not a message.
- In a backfill nothing is critical unless money would move.

An event is added by its record in the module of its subject, its name in `payload.EVENTS` and its entry in the two
catalogues of the Slack adapter.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar


class Severity(StrEnum):
    """How loud an event is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """How far a row of the outbox has come; `ledger.alert_outbox` takes no other."""

    PENDING = "pending"
    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units beside its currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people are told. `settlement_date` names the thread; without one the message stands alone."""

    name: ClassVar[str]
    level: ClassVar[Severity] = Severity.INFO
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
        is_lowered = own is Severity.CRITICAL and self.backfill_id and not self.moves_money
        return Severity.WARNING if is_lowered else own

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

    @property
    def is_of_backfill(self) -> bool:
        """Whether it is told where backfills are told of."""
        return self.backfill_id is not None

    def own_severity(self) -> Severity:
        """The severity outside a backfill."""
        return self.level

    @property
    def moves_money(self) -> bool:
        """Whether money has moved or is about to because of it."""
        return False


def summary_key(thread: str) -> str:
    """Return the dedupe key of a thread's root message."""
    return f"{thread.removeprefix('day:')}:summary" if thread.startswith("day:") else thread
