"""What should have happened by now, from the calendar alone: the watch compares it with what did.

Method: the settlement dates whose run is due are those of the calendar, never those that ran before. Of each, three
things are expected: a run within minutes of its time, a settled day before the deadline, and a warning an hour before
if it does not look like it. Findings are events; their keys make them known once.

Known limits: a date that no run took on is told of with what Airflow says of itself, which without a login is little.
Without a first settlement date in the policy only the newest date is expected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from settlement.domain.alerts.breaks import BreaksAged
from settlement.domain.alerts.event import Event, Money
from settlement.domain.alerts.watch import DeadlineMissed, DeadlineRisk, Heartbeat, Resolved, RunAbsent
from settlement.domain.days import SETTLED, SettlementCalendar

ABSENT_AFTER = timedelta(minutes=10)
RISK_BEFORE = timedelta(minutes=60)
LOOK_BACK = timedelta(days=10)
DAILY_AFTER = timedelta(minutes=30)
AGED, LONG_AGED = 3, 7


# Where a day in this state stands still, and for what it waits.
_STANDING: Mapping[str, tuple[str, str]] = {
    "open": ("extract", ""),
    "computed": ("transfer", "statement"),
    "awaiting_approval": ("transfer", "approval"),
    "paying": ("reconcile", "bank"),
    "failed": ("start", "person"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a date must be settled: a time of day of the calendar day after it."""

    settled_by: str
    timezone: str

    def of(self, on: date) -> datetime:
        """Return the instant by which the date must be settled."""
        return datetime.combine(
            on + timedelta(days=1), time.fromisoformat(self.settled_by), tzinfo=ZoneInfo(self.timezone)
        )


class Aged(Protocol):
    """What is told of a break that ages."""

    @property
    def age_business_days(self) -> int: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def amount(self) -> int | None: ...


def expected_dates(calendar: SettlementCalendar, *, now: datetime) -> list[date]:
    """Return the settlement dates of the last days whose run is due, oldest first."""
    newest = calendar.newest_settleable(now)
    if newest is None:
        return []
    since = newest - LOOK_BACK if calendar.first else newest
    return [on for on in calendar.days_between(since, newest) if calendar.run_after(on) <= now]


def findings(
    states: Mapping[date, str | None],
    *,
    calendar: SettlementCalendar,
    deadline: Deadline,
    airflow: str | None,
    now: datetime,
    failed_in: Mapping[date, str] | None = None,
) -> list[Event]:
    """Return what there is to tell about the expected dates; a state of None says that no run took the date on.

    `failed_in` says in which step a failed date stands still.
    """
    settled = [on for on, state in states.items() if state in SETTLED]
    found: list[Event] = []
    for on, state in sorted(states.items()):
        if state in SETTLED:
            continue
        if state is None and now >= calendar.run_after(on) + ABSENT_AFTER:
            found.append(
                RunAbsent(
                    settlement_date=on,
                    expected_at=calendar.run_after(on),
                    reason=airflow or "no_run",
                    last_good_date=max((day for day in settled if day < on), default=None),
                )
            )
        found += _of_deadline(on, state, failed_in=(failed_in or {}).get(on), at=deadline.of(on), now=now)
    return found


def ended(on: date, state: str | None) -> list[Resolved]:
    """Return which problems of a date are over in this state; recording one that was never told of changes nothing."""
    over = [("absent", "run.absent")] if state is not None else []
    if state in SETTLED:
        over += [("risk", "deadline.risk"), ("missed", "deadline.missed")]
    return [Resolved(settlement_date=on, problem=key, problem_event=event) for key, event in over]


def daily(
    *,
    states: Mapping[date, str | None],
    breaks: Sequence[Aged],
    queue_depth: int,
    calendar: SettlementCalendar,
    now: datetime,
) -> list[Event]:
    """Return what is told once a day, half an hour after the day's run is due: the heartbeat, and breaks that age."""
    today = calendar.local_date(now)
    if now < calendar.run_after(today - timedelta(days=1)) + DAILY_AFTER:
        return []
    newest = max((on for on, state in states.items() if state is not None), default=None)
    following = calendar.oldest_from(today)
    told: list[Event] = [
        Heartbeat(
            settlement_date=today,
            last_date=newest,
            state=states[newest] or "none" if newest else "none",
            next_run_at=calendar.run_after(following) if following else None,
            queue_depth=queue_depth,
        )
    ]
    aged = [found for found in breaks if found.age_business_days > AGED]
    if aged and states:
        long_aged = [found for found in aged if found.age_business_days > LONG_AGED]
        told.append(
            BreaksAged(
                settlement_date=max(states),
                over_three_count=len(aged),
                over_three=_sums(aged),
                over_seven_count=len(long_aged),
                over_seven=_sums(long_aged),
            )
        )
    return told


def _of_deadline(on: date, state: str | None, *, failed_in: str | None, at: datetime, now: datetime) -> list[Event]:
    step, waits_for = _STANDING.get(state, ("start", "")) if state else ("start", "run")
    step = failed_in or step
    minutes = int(abs(at - now) / timedelta(minutes=1))
    if now >= at:
        return [
            DeadlineMissed(settlement_date=on, step=step, minutes_late=minutes, deadline_at=at, waits_for=waits_for)
        ]
    if now >= at - RISK_BEFORE:
        return [DeadlineRisk(settlement_date=on, step=step, minutes_left=minutes, deadline_at=at, waits_for=waits_for)]
    return []


def _sums(breaks: Sequence[Aged]) -> tuple[Money, ...]:
    amounts: dict[str, int] = {}
    for found in breaks:
        if found.currency:
            amounts[found.currency] = amounts.get(found.currency, 0) + abs(found.amount or 0)
    return tuple(Money(amount=amount, currency=currency) for currency, amount in sorted(amounts.items()))
