"""Breaks and decisions about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from settlement.domain.breaks import Decision, Finding
    from settlement.domain.days import SettlementCalendar


class Breaks(Protocol):
    """What should agree and does not, and what people did about it."""

    def found(self) -> list[Finding]: ...
    def sync(
        self,
        findings: Sequence[Finding],
        *,
        causes: Sequence[str],
        on: date,
        calendar: SettlementCalendar,
        now: datetime,
    ) -> dict[str, int]: ...
    def open(self) -> list[dict[str, Any]]: ...
    def history(self, break_id: int) -> list[dict[str, Any]]: ...
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
    ) -> None: ...
    def close(self, break_id: int, *, state: str, how: str, by: str, on: date, now: datetime) -> None: ...
    def ask(self, decision: Decision, *, now: datetime) -> None: ...
    def waiting(self, break_id: int) -> Decision | None: ...
    def decide(self, break_id: int, *, by: str, now: datetime) -> None: ...
