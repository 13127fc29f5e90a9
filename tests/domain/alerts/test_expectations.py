"""What should have happened by now is known from the calendar alone."""

from __future__ import annotations

from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from settlement.domain.alerts import expectations
from settlement.domain.alerts.breaks import BreaksAged
from settlement.domain.alerts.event import Event, Money
from settlement.domain.alerts.watch import DeadlineMissed, DeadlineRisk, Heartbeat, RunAbsent
from settlement.domain.days import BankCalendar, SettlementCalendar

SEOUL = ZoneInfo("Asia/Seoul")
FRIDAY = date(2026, 2, 13)
CALENDAR = SettlementCalendar(
    calendar=BankCalendar("KR", ("public", "bank"), ()), timezone="Asia/Seoul", first=date(2026, 2, 2)
)
DEADLINE = expectations.Deadline(settled_by="12:00", timezone="Asia/Seoul")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 2, day, hour, minute, tzinfo=SEOUL)


def told(states: dict[date, str | None], now: datetime, airflow: str | None = None) -> list[Event]:
    return expectations.findings(states, calendar=CALENDAR, deadline=DEADLINE, airflow=airflow, now=now)


def names(events: list[Any]) -> list[str]:
    return [event.name for event in events]


def test_dates_are_expected_once_their_run_is_due() -> None:
    assert max(expectations.expected_dates(CALENDAR, now=at(14, 5, 59))) == date(2026, 2, 12)
    assert max(expectations.expected_dates(CALENDAR, now=at(14, 6, 0))) == FRIDAY


def test_dates_before_the_first_are_not_expected() -> None:
    assert min(expectations.expected_dates(CALENDAR, now=at(6, 12))) == date(2026, 2, 2)


def test_without_a_first_date_only_the_newest_is_expected() -> None:
    calendar = SettlementCalendar(calendar=CALENDAR.calendar, timezone="Asia/Seoul")
    assert expectations.expected_dates(calendar, now=at(14, 7)) == [FRIDAY]


def test_a_date_that_no_run_took_is_absent_ten_minutes_after_its_time() -> None:
    states = {date(2026, 2, 12): "settled", FRIDAY: None}
    assert told(states, at(14, 6, 9)) == []
    (absent,) = told(states, at(14, 6, 10), airflow="scheduler_down")
    assert isinstance(absent, RunAbsent)
    assert (absent.settlement_date, absent.reason) == (FRIDAY, "scheduler_down")
    assert absent.last_good_date == date(2026, 2, 12)
    assert absent.expected_at == at(14, 6)


def test_a_well_airflow_leaves_a_paused_dag_or_one_that_does_not_parse() -> None:
    (absent,) = told({FRIDAY: None}, at(14, 7))
    assert isinstance(absent, RunAbsent) and absent.reason == "no_run"


@pytest.mark.parametrize(
    ("state", "step", "waits_for"),
    [
        ("open", "extract", ""),
        ("computed", "transfer", "statement"),
        ("awaiting_approval", "transfer", "approval"),
        ("paying", "reconcile", "bank"),
        ("failed", "start", "person"),
    ],
)
def test_an_hour_before_the_deadline_a_day_that_stands_still_is_at_risk(state: str, step: str, waits_for: str) -> None:
    assert told({FRIDAY: state}, at(14, 10, 59)) == []
    (risk,) = told({FRIDAY: state}, at(14, 11, 1))
    assert isinstance(risk, DeadlineRisk)
    assert (risk.step, risk.waits_for, risk.minutes_left) == (step, waits_for, 59)


def test_after_the_deadline_it_is_missed() -> None:
    (missed,) = told({FRIDAY: "paying"}, at(14, 12, 5))
    assert isinstance(missed, DeadlineMissed) and missed.minutes_late == 5


def test_a_date_without_a_run_misses_its_deadline_too() -> None:
    assert names(told({FRIDAY: None}, at(14, 12, 0))) == ["run.absent", "deadline.missed"]


@pytest.mark.parametrize("state", ["settled", "settled_with_breaks", "closed"])
def test_a_settled_day_is_as_expected(state: str) -> None:
    assert told({FRIDAY: state}, at(14, 23)) == []


def test_a_run_ends_its_absence_and_a_settled_day_everything() -> None:
    assert expectations.ended(FRIDAY, None) == []
    assert [event.problem for event in expectations.ended(FRIDAY, "open")] == ["absent"]
    assert [event.problem for event in expectations.ended(FRIDAY, "settled")] == ["absent", "risk", "missed"]


def test_a_heartbeat_is_told_every_calendar_day_and_names_the_next_run() -> None:
    def daily(now: datetime) -> list[Event]:
        return expectations.daily(states={FRIDAY: "settled"}, breaks=[], queue_depth=3, calendar=CALENDAR, now=now)

    assert daily(at(14, 6, 29)) == []
    (saturday,) = daily(at(14, 6, 30))
    (sunday,) = daily(at(15, 6, 30))
    assert isinstance(saturday, Heartbeat)
    assert (saturday.dedupe_key, sunday.dedupe_key) == ("2026-02-14:heartbeat", "2026-02-15:heartbeat")
    assert (saturday.last_date, saturday.state, saturday.queue_depth) == (FRIDAY, "settled", 3)
    following = CALENDAR.oldest_from(date(2026, 2, 14))
    assert following is not None and saturday.next_run_at == CALENDAR.run_after(following)


def test_breaks_older_than_three_business_days_make_a_digest() -> None:
    breaks = [
        SimpleNamespace(age_business_days=age, currency="KRW", amount=amount)
        for age, amount in ((3, 1), (4, 10), (8, -100), (9, 1_000))
    ]
    _, aged = expectations.daily(
        states={FRIDAY: "settled"},
        breaks=breaks,
        queue_depth=0,
        calendar=CALENDAR,
        now=at(14, 7),
    )
    assert aged == BreaksAged(
        settlement_date=FRIDAY,
        over_three_count=3,
        over_three=(Money(amount=1_110, currency="KRW"),),
        over_seven_count=2,
        over_seven=(Money(amount=1_100, currency="KRW"),),
    )
