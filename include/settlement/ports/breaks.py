"""Breaks and decisions about them. Amounts are whole minor units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from settlement.domain.breaks import BreakState, Decision, Finding
    from settlement.domain.days import SettlementCalendar


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One break as the books keep it; its age is counted in business days since it was opened."""

    break_id: int
    cause: str
    side: str
    opened_on: date
    age_business_days: int
    currency: str | None
    amount: int | None
    subject_kind: str
    subject_id: str
    evidence: Mapping[str, Any]
    state: BreakState
    owner: str | None
    comment: str | None
    due_on: date | None
    resolved_on: date | None
    resolution: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvent:
    """One thing that happened to a break: when, by whom, what."""

    at: datetime
    by: str
    what: str


class Breaks(Protocol):
    """What should agree and does not, and what people did about it."""

    def found(self) -> list[Finding]:
        """Return the breaks that the books show by themselves: overdrawn payees, payouts that came back late."""
        ...

    def sync(
        self,
        findings: Sequence[Finding],
        *,
        causes: Sequence[str],
        on: date,
        calendar: SettlementCalendar,
        now: datetime,
        sees: Set[tuple[str, str]] | None = None,
    ) -> dict[str, int]:
        """Make the open breaks of these causes be exactly the findings; return how many opened, resolved and are open.

        A break is opened once for a cause and subject, as of the date `on`; one that is found no longer is resolved
        with the match that explains it, unless whoever looks does not see its subject: a run that replays some loans
        sees what became of these, and of no others. `sees` has the kind and id of every subject seen; None: all.
        """
        ...

    def answered(self) -> set[tuple[str, str, str, int | None]]:
        """Return what somebody answered for by name, as (cause, kind and id of the subject, amount).

        `sync` does not open it again as long as it is found with the same amount.
        """
        ...

    def open(self) -> list[Break]:
        """Return the breaks that are open or assigned, oldest first."""
        ...

    def history(self, break_id: int) -> list[BreakEvent]:
        """Return everything that happened to a break, in order; nothing where there is no such break."""
        ...

    def note(
        self,
        break_id: int,
        *,
        by: str,
        what: str,
        now: datetime,
        owner: str | None = None,
        due_on: date | None = None,
        comment: str | None = None,
    ) -> None:
        """Keep what a person said of an open break, and who takes it on until when; what is None stays as it was."""

    def close(self, break_id: int, *, state: BreakState, how: str, by: str, on: date, now: datetime) -> None:
        """Let a break be over because of what a person did: resolved or written off."""

    def ask(self, decision: Decision, *, now: datetime) -> None:
        """Keep what a person wants done; where no second person is needed it is decided with that."""

    def waiting(self, break_id: int) -> Decision | None:
        """Return what waits for a second person, or None."""
        ...

    def withdraw(self, break_id: int, *, now: datetime) -> None:
        """Let what waits for a second person wait no longer: its amount moved, and it has to be asked anew."""

    def decide(self, break_id: int, *, by: str, now: datetime) -> None:
        """Keep who decided what was waiting; the database refuses that it is who asked."""
