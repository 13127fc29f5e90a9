"""Decisions and objections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from settlement.domain.payments.gate import Objection
    from settlement.ports.days import DayRun


class Approvals(Protocol):
    """What a second person decided, and what was said against paying."""

    def request(self, day: DayRun, request: Mapping[str, Any], *, now: datetime) -> None: ...
    def find(self, approval_id: str) -> Mapping[str, Any] | None: ...
    def decide(self, approval_id: str, *, decision: str, by: str, reason: str | None, now: datetime) -> None: ...
    def object_to(self, day: DayRun, objections: Sequence[Objection], *, now: datetime) -> None: ...
    def objections(self, settlement_date: date) -> list[dict[str, Any]]: ...
    def override(self, settlement_date: date, *, said: Sequence[str], by: str, reason: str, now: datetime) -> int: ...
