"""What a row of the outbox holds: `slot -> {event, fields}`, one slot for an ordinary event, several for a standing.

An event that is written here is read again by a later version of the product: a field is added with a default, and
none is taken away.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter

from settlement.domain.alerts.breaks import BreaksAged, BreaksOpened
from settlement.domain.alerts.day import (
    BackfillSummary,
    ControlBroken,
    DayCompleted,
    DayDryRun,
    DayProgress,
    DayRestated,
    DayStarted,
)
from settlement.domain.alerts.event import Event
from settlement.domain.alerts.payouts import (
    ApprovalDone,
    ApprovalNeeded,
    PayoutsRejected,
    PayoutsUnknown,
    TakingBackDone,
    TakingBackNeeded,
)
from settlement.domain.alerts.task import RunRefused, TaskFailed, TaskRetry
from settlement.domain.alerts.watch import (
    AlertAcknowledged,
    AlertsUndelivered,
    DeadlineMissed,
    DeadlineRisk,
    Heartbeat,
    InputChanged,
    InputLate,
    OpeningAbsent,
    Resolved,
    RunAbsent,
)

Payload = dict[str, dict[str, Any]]

EVENTS: dict[str, type[Event]] = {
    event.name: event
    for event in (
        DayStarted,
        DayProgress,
        TaskRetry,
        TaskFailed,
        RunRefused,
        PayoutsUnknown,
        PayoutsRejected,
        ApprovalNeeded,
        ApprovalDone,
        TakingBackNeeded,
        TakingBackDone,
        BreaksOpened,
        DayCompleted,
        Resolved,
        DeadlineRisk,
        DeadlineMissed,
        RunAbsent,
        InputLate,
        InputChanged,
        OpeningAbsent,
        ControlBroken,
        BreaksAged,
        BackfillSummary,
        DayDryRun,
        DayRestated,
        AlertAcknowledged,
        AlertsUndelivered,
        Heartbeat,
    )
}


def of_event(event: Event) -> Payload:
    """Return the payload that holds this event alone."""
    return {event.slot: slot_value(event)}


def fold(payload: Payload, event: Event) -> Payload:
    """Return the standing payload with the event in its slot; a new start of a day forgets that day's former steps."""
    kept = dict(payload)
    if isinstance(event, DayStarted) and payload.get(event.slot) != slot_value(event):
        day = event.slot.removesuffix(event.name)
        kept = {slot: value for slot, value in payload.items() if day and not slot.startswith(day)}
    return kept | of_event(event)


def slot_value(event: Event) -> dict[str, Any]:
    """Return what a payload holds in the slot of this event."""
    return {"event": event.name, "fields": to_fields(event)}


def events_of(payload: Payload) -> dict[str, Event]:
    """Return the events of a payload by their slots.

    Raises KeyError: an event that this version does not know. Raises ValueError: fields that are not the event's.
    """
    return {slot: from_fields(value["event"], value["fields"]) for slot, value in payload.items()}


def to_fields(event: Event) -> dict[str, Any]:
    """Return the event's fields as JSON values."""
    return cast("dict[str, Any]", _adapter(event.name).dump_python(event, mode="json"))


def from_fields(name: str, fields: Mapping[str, Any]) -> Event:
    """Return the event that `to_fields` wrote.

    Raises KeyError: an event that this version does not know. Raises ValueError: fields that are not the event's.
    """
    return cast("Event", _adapter(name).validate_python(dict(fields)))


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(EVENTS[name])
