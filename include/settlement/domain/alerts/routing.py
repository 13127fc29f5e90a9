"""Who hears of an event: its channels, what it proves to be over, when it is repeated and when it is mailed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Protocol

from settlement.domain.alerts.breaks import BreaksOpened
from settlement.domain.alerts.day import ControlBroken, DayCompleted, DayStarted
from settlement.domain.alerts.event import Event, Severity
from settlement.domain.alerts.task import RunRefused, TaskFailed
from settlement.domain.alerts.watch import AlertsUndelivered, DeadlineMissed, DeadlineRisk, RunAbsent

Language = Literal["ko", "en"]

EMAIL = "email"
"""The channel of what only e-mail can tell: that Slack does not take messages, or that no channel wants a critical."""

REPEAT_EVERY = timedelta(minutes=30)
REPEATS = 6
EMAIL_AFTER = timedelta(minutes=5)


class ChannelPolicy(Protocol):
    """A channel of the policy's `[[alerts.channels]]`."""

    @property
    def id(self) -> str: ...
    @property
    def severities(self) -> Sequence[Severity]: ...
    @property
    def language(self) -> Language | None: ...
    @property
    def backfills(self) -> bool: ...


class AlertsPolicy(Protocol):
    """The policy's `[alerts]`."""

    @property
    def language(self) -> Language: ...
    @property
    def channels(self) -> Sequence[ChannelPolicy]: ...
    @property
    def email_to(self) -> Sequence[str]: ...
    @property
    def mention(self) -> str: ...


def recipients(event: Event, policy: AlertsPolicy) -> list[str]:
    """Return the channels that get the event: those that want its severity, backfills in their own.

    A critical that no channel wants goes out by e-mail: whatever dies, a person hears of it. A refused run that no
    channel wants stands there too, to be known of and not to be sent (see `is_silent`).
    """
    if isinstance(event, AlertsUndelivered):
        return [EMAIL]
    wanting = [channel for channel in policy.channels if event.severity in channel.severities]
    if any(channel.backfills for channel in policy.channels):
        wanting = [channel for channel in wanting if channel.backfills == event.is_of_backfill]
    is_kept = event.severity is Severity.CRITICAL or isinstance(event, RunRefused)
    return [channel.id for channel in wanting] or ([EMAIL] if is_kept else [])


def is_silent(event: Event, channel: str) -> bool:
    """Tell whether an event is kept for this channel and never sent: a refused run is no reason for an e-mail."""
    return isinstance(event, RunRefused) and channel == EMAIL


def closes(event: Event) -> frozenset[str]:
    """Return the names of the events of the same settlement date that this event proves to be over."""
    if isinstance(event, DayStarted):
        return frozenset({RunAbsent.name})
    if isinstance(event, DayCompleted):
        over = {RunAbsent.name, TaskFailed.name, DeadlineRisk.name, DeadlineMissed.name, ControlBroken.name}
        return frozenset(over if event.breaks else over | {BreaksOpened.name})
    return frozenset()
