"""Questions to a second person, and what was said against paying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.payments.approval import Decision
    from settlement.domain.payments.gate import Objection
    from settlement.ports.days import DayRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to a second person about exactly the payouts whose hash it has; amounts by currency.

    Or about a restatement that takes back what was paid out: then the hash is that of its changes.
    """

    approval_id: str
    payouts_sha256: str
    count: int
    amounts: Mapping[str, int]
    expires_at: datetime
    decision: Decision | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredObjection:
    """What was said against paying for a settlement date, and who answered for it, where somebody did.

    `is_over`: the date has passed the gate since, so that nobody has to answer for it any more.
    """

    settlement_date: date
    control: str
    said: str
    raised_at: datetime
    run_id: str
    overridden_by: str | None
    reason: str | None
    overridden_at: datetime | None
    is_over: bool = False


class Approvals(Protocol):
    """What a second person decided about payouts, and what was said against paying."""

    def request(self, day: DayRun, question: Question, *, now: datetime) -> None:
        """Put a question on record; an older one of the day that is open is superseded.

        Asked again before it is answered, it is open for its whole time again.
        """

    def find(self, approval_id: str) -> Question | None:
        """Return one question and what was answered, or None where nobody asked it."""
        ...

    def decide(self, approval_id: str, *, decision: Decision, by: str, reason: str | None, now: datetime) -> None:
        """Keep who answered what, and when; a question that is answered keeps its answer."""

    def object_to(self, day: DayRun, objections: Sequence[Objection], *, now: datetime) -> None:
        """Keep what speaks against paying, so that a person can answer for exactly that."""

    def objections(self, settlement_date: date) -> list[AnsweredObjection]:
        """Return every objection that was raised against paying for a day, in the order in which they were raised."""
        ...

    def override(self, settlement_date: date, *, said: Sequence[str], by: str, reason: str, now: datetime) -> int:
        """Keep that a person answers for these objections; return how many of them nobody had answered for."""
        ...
