"""The timetable of `daily_settlement`: an Airflow data interval is a settlement window.

One run per settlement date. Its data interval is the date's window, its logical date therefore the window's start, and
it starts at the policy's `run_at` on the calendar day after. The bounds of a backfill are compared with the settlement
date itself, not with the start of its window, which for a Monday lies on the Friday before.

The policy is read once, where the DAG file is parsed; what it says of dates travels in the serialised DAG, so scheduler
and API server need no policy file and a changed policy reaches them with the next parse.

`SETTLEMENT_NOW` stands for "now" here too. As that clock stands still, no date is scheduled whose run would start after
it: otherwise the scheduler, whose own clock is far ahead, would start every later date at once.
"""

from __future__ import annotations

import os
import tomllib
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pendulum
from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType
from settlement.domain.days import BankCalendar, Override, SettlementCalendar, Window

DEFAULT_POLICY = Path(str(resources.files("settlement")), "policies", "kr.toml")


class BankDays(Timetable):
    """One run per settlement date, whose data interval is the settlement window."""

    def __init__(self, days: SettlementCalendar) -> None:
        self.days = days
        self.description = (
            f"Every bank business day ({days.calendar.country}), "
            f"at {days.run_at} {days.timezone} of the calendar day after it"
        )

    @classmethod
    def of_policy(cls) -> BankDays:
        """Read what the policy at SETTLEMENT_POLICY says of dates."""
        return cls(read_policy(Path(os.environ.get("SETTLEMENT_POLICY") or DEFAULT_POLICY)))

    @property
    def summary(self) -> str:
        return f"Bank days, {self.days.run_at}"

    def serialize(self) -> dict[str, Any]:
        """Write the dates' part of the policy in the policy's own words, so that `deserialize` reads it as a policy."""
        calendar = self.days.calendar
        return {
            "timezone": self.days.timezone,
            "cut_off": self.days.cut_off,
            "run_at": self.days.run_at,
            "schedule": {"catch_up": self.days.catch_up},
            "first_settlement_date": self.days.first and self.days.first.isoformat(),
            "last_settlement_date": self.days.last and self.days.last.isoformat(),
            "calendar": {
                "country": calendar.country,
                "categories": list(calendar.categories),
                "overrides": [
                    override._asdict() | {"date": override.date.isoformat()} for override in calendar.overrides
                ],
            },
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> BankDays:
        return cls(settlement_calendar(data))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the run of the settlement date after the last one, within the restriction's dates.

        Runs of a backfill count as last ones too. After an outage the dates that were missed follow, oldest first, as
        far back as the newest `schedule.catch_up` ones reach: a backfill of last year is not followed by every date
        since. A first start takes the newest date alone. What Airflow calls catch-up is how it asks for a backfill.
        """
        on = self._date_after(last_automated_data_interval, restriction)
        if on is None or (restriction.latest and on > self.days.date_named_by(restriction.latest)):
            return None
        run_after = self.days.run_after(on)
        if (still := _still_now()) and run_after > still:
            return None
        return DagRunInfo(run_after=pendulum.instance(run_after), data_interval=_interval(self.days.window(on)))

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the window of the date that the instant names, or of the newest past its cut-off then.

        The API and the UI's form give a run's logical date, and so show the window that it settles unless its
        parameters name another; the command line gives the present moment, whatever logical date it was asked for.
        """
        now = _still_now() or datetime.now(UTC)
        named, newest = self.days.date_named_by(run_after), self.days.newest_settleable(now)
        if newest and named <= newest and self.days.days_between(named, named):
            return _interval(self.days.window(named))
        on = self.days.newest_settleable(min(run_after, now))
        return _interval(self.days.window(on)) if on else DataInterval.exact(pendulum.instance(run_after))

    def settlement_date_of(self, interval: DataInterval) -> date | None:
        """Return the settlement date whose window the interval is, or None if the interval is empty."""
        return self.days.settlement_date_of_window(interval.end) if interval.start < interval.end else None

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: pendulum.DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """Name a run after its settlement date.

        A manual run keeps the instant in its name: its parameters may ask for another date than its interval, and one
        date can be run by hand any number of times. (Airflow 3.3 does not ask the timetable for a backfill's run ids.)
        """
        on = data_interval and self.settlement_date_of(data_interval)
        if on is None or run_type == DagRunType.MANUAL:
            return super().generate_run_id(run_type=run_type, run_after=run_after, data_interval=data_interval, **extra)
        return run_type.generate_run_id(suffix=on.isoformat())

    def _date_after(self, last: DataInterval | None, restriction: TimeRestriction) -> date | None:
        candidates = []
        if last and (settled := self.settlement_date_of(last)):
            candidates.append(self.days.calendar.next_business_day(settled))
        if restriction.earliest:
            candidates.append(self.days.date_named_by(restriction.earliest))
        now = _still_now() or datetime.now(UTC)
        due = self.days.oldest_caught_up(now) if last else self.days.newest_due(now)
        if due and not restriction.catchup:
            candidates.append(due)
        if not candidates and self.days.first:
            candidates.append(self.days.first)
        return self.days.oldest_from(max(candidates)) if candidates else None


def read_policy(path: Path) -> SettlementCalendar:
    """Read what a policy file says of dates, and nothing else of it.

    The whole policy is checked by `settlement.domain.policy`; that module is too heavy for a scheduler.

    Raises ValueError: the file is missing, is not TOML, or a key cannot be read; the message names it.
    """
    try:
        return settlement_calendar(tomllib.loads(path.read_text(encoding="utf-8")))
    except KeyError as missing:
        raise ValueError(
            f"Policy file [{path}]: an override of the calendar lacks its [{missing.args[0]}]"
        ) from missing
    except (OSError, ValueError, TypeError, AttributeError) as unreadable:
        raise ValueError(f"Policy file [{path}] (named by SETTLEMENT_POLICY): {unreadable}") from unreadable


def settlement_calendar(policy: dict[str, Any]) -> SettlementCalendar:
    """Return the settlement dates of a policy, given as its tables; dates may be text."""
    calendar = policy.get("calendar", {})
    first, last = policy.get("first_settlement_date"), policy.get("last_settlement_date")
    return SettlementCalendar(
        calendar=BankCalendar(
            calendar.get("country", "KR"),
            tuple(calendar.get("categories", ("public", "bank"))),
            tuple(
                Override(**override | {"date": date.fromisoformat(str(override["date"]))})
                for override in calendar.get("overrides", ())
            ),
        ),
        timezone=policy.get("timezone", "Asia/Seoul"),
        cut_off=policy.get("cut_off", "24:00"),
        run_at=policy.get("run_at", "06:00"),
        catch_up=policy.get("schedule", {}).get("catch_up", 10),
        first=first and date.fromisoformat(str(first)),
        last=last and date.fromisoformat(str(last)),
    )


def _interval(window: Window) -> DataInterval:
    return DataInterval(pendulum.instance(window.from_at), pendulum.instance(window.until_at_exclusive))


def _still_now() -> datetime | None:
    """Return the instant at which SETTLEMENT_NOW holds the product's clock, or None where the clock runs."""
    if not os.environ.get("SETTLEMENT_NOW"):
        return None
    from settlement import config

    return config.now()


class BankDaysPlugin(AirflowPlugin):
    name = "bank_days"
    timetables = [BankDays]
