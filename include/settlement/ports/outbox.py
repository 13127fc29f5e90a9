"""The outbox of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from settlement.domain.alerts.day import DayCompleted
    from settlement.domain.alerts.routing import Language


class Alerts(Protocol):
    """The outbox: events go in with the transaction that they tell of, and out to people afterwards."""

    def record(self, transaction: Any, event: Any, *, now: datetime) -> bool:
        """Write the event in this transaction; False: it is there already."""

    def attach(
        self,
        transaction: Any,
        *,
        settlement_date: date,
        key: str,
        name: str,
        title: str,
        content: bytes,
        now: datetime,
    ) -> bool:
        """Put a file into the day's thread in this transaction, once for each `key`; False: it is there already."""

    def deliver(self, *, now: datetime, limit_seconds: float | None = None) -> Any:
        """Send what is due. Never raises because Slack or mail does not answer."""

    def listing(
        self, *, settlement_date: date | None = None, state: str | None = None, limit: int = 200
    ) -> list[dict[str, Any]]:
        """Return alerts as in `reporting.alerts`, newest first."""

    def plain(self, day: DayCompleted, *, language: Language) -> str:
        """Return what the day's message in Slack would say now, as text for a terminal."""

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed alerts (all, or these) pending again; return how many."""

    def test_connection(self) -> dict[str, Any]:
        """Return what Slack says of the connection and its scopes; `ok` tells whether alerts would arrive."""
