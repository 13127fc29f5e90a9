"""Telling people: the outbox that events wait in, and what brings them to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from settlement.domain.alerts.day import DayCompleted
    from settlement.domain.alerts.event import Event
    from settlement.domain.alerts.payload import Payload
    from settlement.domain.alerts.routing import Language


class Outbox(Protocol):
    """The outbox in one transaction: an event is committed with what it tells of, or not at all."""

    def record(self, event: Event, *, now: datetime) -> bool:
        """Write the event for every channel of the policy that wants it, one row for each.

        The same event again is a conflict on its key and changes nothing; an event of a standing message edits that
        message; `Resolved` marks what it names as over. Nothing is sent.

        It is False where every channel has it already or none wants it: nothing was changed.
        """

    def attach(self, *, settlement_date: date, key: str, name: str, title: str, content: bytes, now: datetime) -> bool:
        """Put a file into the day's thread, in every channel that shows the day, once for each `key`.

        It is False where it is there already, or no channel shows the day.
        """


class OutboxToDeliver(Outbox, Protocol):
    """The outbox as whoever delivers it works with it."""

    def shown(self, thread: str) -> Payload:
        """Return what the root message of a thread shows, in the channel that knows most; empty without one."""

    def open_problems(self, thread: str) -> int:
        """Return how many critical problems of a thread are not over."""

    def repeat_unresolved(self, *, now: datetime) -> int:
        """Write a reminder of each critical problem whose time has come, and return how many that were."""

    def listing(
        self, *, settlement_date: date | None = None, state: str | None = None, limit: int = 200
    ) -> list[dict[str, Any]]:
        """Return alerts as in `reporting.alerts`, newest first."""

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed alerts (all, or these) pending again, to be tried at once; return how many."""


class Alerts(Protocol):
    """What brings the outbox to people. Where no way out is configured, alerts stay in it."""

    def deliver(self, *, now: datetime, limit_seconds: float | None = None) -> Any:
        """Send what is due and return what came of it (see `DeliveryReport` of the adapter).

        With a limit it is tried once, and the caller is held for so many seconds at most; without one it goes on until
        nothing is due. Never raises because Slack, mail or the database fails.
        """

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
