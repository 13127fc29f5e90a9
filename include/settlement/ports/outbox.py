"""Telling people: the outbox that events wait in, and what brings them to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.alerts.day import DayCompleted
    from settlement.domain.alerts.event import AlertState, Event
    from settlement.domain.alerts.payload import Payload
    from settlement.domain.alerts.payouts import ApprovalNeeded, TakingBackNeeded
    from settlement.domain.alerts.routing import Language


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of `reporting.alerts`: one event in one channel, and what came of it."""

    alert_id: int
    settlement_date: date | None
    event: str
    severity: str
    channel: str
    dedupe_key: str
    state: AlertState
    created_at: datetime
    delivered_at: datetime | None
    attempts: int
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTest:
    """What Slack says of the connection: `error` is its code, or says which connection is not there.

    `channels` has for each channel of the policy `ok`, or the code of Slack's error. What was not reached is empty.
    """

    error: str | None = None
    team: str | None = None
    user: str | None = None
    missing_scopes: Sequence[str] = ()
    channels: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Tell whether alerts would arrive."""
        return not self.error and not self.missing_scopes and all(said == "ok" for said in self.channels.values())


@dataclass(slots=True)
class DeliveryReport:
    """What a delivery came to: messages posted, found, edited, mailed; rows left; why it stopped, if Slack did."""

    posted: int = 0
    found: int = 0
    edited: int = 0
    mailed: int = 0
    failed: int = 0
    repeated: int = 0
    pending: int = 0
    errors: list[str] = field(default_factory=list)
    is_complete: bool = True
    progress: int = 0
    """Grows with every answer of Slack: a caller waits for as long as it does."""


class Outbox(Protocol):
    """The outbox in one transaction: an event is committed with what it tells of, or not at all."""

    def record(self, event: Event, *, now: datetime) -> bool:
        """Write the event for every channel of the policy that wants it, one row for each.

        The same event again is a conflict on its key and changes nothing; an event of a standing message edits that
        message; `Resolved` marks what it names as over. Nothing is sent.

        It is False where every channel has it already or none wants it: nothing was changed.
        """

    def is_told(self, event: Event) -> bool:
        """Tell whether an event of this name and key was recorded, of whatever date and in whatever channel."""

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
        self, *, settlement_date: date | None = None, state: AlertState | None = None, limit: int = 200
    ) -> list[Alert]:
        """Return the alerts of a date, or in a state, newest first."""

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed alerts (all, or these) pending again, to be tried at once; return how many."""

    def acknowledge(self, alert_id: int, *, by: str, now: datetime) -> bool:
        """Let nobody be reminded of a critical problem, in any channel, and say who has taken it on.

        It is False where the alert is of no critical problem that is open.
        """


class Alerts(Protocol):
    """What brings the outbox to people. Where no way out is configured, alerts stay in it."""

    def deliver(self, *, now: datetime, limit_seconds: float | None = None) -> DeliveryReport:
        """Send what is due and return what came of it.

        With a limit it is tried once, and the caller is held for so many seconds at most; without one it goes on until
        nothing is due. Never raises because Slack, mail or the database fails.
        """

    def listing(
        self, *, settlement_date: date | None = None, state: AlertState | None = None, limit: int = 200
    ) -> list[Alert]:
        """Return the alerts of a date, or in a state, newest first."""

    def plain(self, day: DayCompleted, *, language: Language) -> str:
        """Return what the day's message in Slack would say now, as text for a terminal."""

    def question(self, asked: ApprovalNeeded | TakingBackNeeded, *, open_for: timedelta) -> tuple[str, str]:
        """Return what a second person is asked, in the policy's language: a line, and the whole of it as Markdown."""

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed alerts (all, or these) pending again; return how many."""

    def acknowledge(self, alert_id: int, *, by: str, now: datetime) -> bool:
        """Let nobody be reminded of a critical problem any more; False where the alert is of none that is open."""

    def test_connection(self) -> ConnectionTest:
        """Return what Slack says of the connection, its scopes and the policy's channels; nothing is posted."""
