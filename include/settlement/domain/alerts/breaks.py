"""Breaks as people are told of them: those that opened, and those that nobody has closed for long."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from settlement.domain.alerts.event import Event, Money, Severity

SHOWN_BREAKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakLine:
    """One break as shown in a table."""

    break_id: str
    cause: str
    amount: Money
    age_business_days: int = 0
    subject_kind: str = ""
    subject_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreaksOpened(Event):
    """Findings that somebody must look at. `breaks` are the largest, `digest` names the whole set."""

    name: ClassVar[str] = "breaks.opened"
    level: ClassVar[Severity] = Severity.WARNING

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
        return Severity.CRITICAL if self.missing_payout_count or self.doubled_payout_count else self.level

    @property
    def moves_money(self) -> bool:
        return bool(self.missing_payout_count or self.doubled_payout_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreaksAged(Event):
    """The daily digest of breaks that nobody has closed for long."""

    name: ClassVar[str] = "breaks.aged"
    level: ClassVar[Severity] = Severity.WARNING

    over_three_count: int
    over_three: tuple[Money, ...]
    over_seven_count: int
    over_seven: tuple[Money, ...]

    @property
    def key(self) -> str:
        return "aged"


def digest(ids: Iterable[str]) -> str:
    """Return a short name for a set of ids: the same set has the same name, in whatever order it comes."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
