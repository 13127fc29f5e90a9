"""The timetable asked as Airflow asks it. Lunar New Year closes the banks from 16 (a Monday) to 18 February 2026."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

import bank_days
import pendulum
import pytest
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.utils.types import DagRunType
from bank_days import BankDays, settlement_calendar
from settlement import config
from settlement.ports.days import AirflowRun
from settlement.stages import asked

SEOUL = ZoneInfo("Asia/Seoul")


def timetable(**policy: object) -> BankDays:
    return BankDays(settlement_calendar(policy))


def at(text: str) -> pendulum.DateTime:
    instant = datetime.fromisoformat(text)
    return pendulum.instance(instant if instant.tzinfo else instant.replace(tzinfo=SEOUL))


class Clock(datetime):
    """A clock that stands where a test puts it."""

    at: ClassVar[datetime]

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(cls.at.timestamp(), tz)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    Clock.at = datetime(2026, 2, 20, tzinfo=UTC)
    monkeypatch.setattr(bank_days, "datetime", Clock)
    return Clock


def backfilled(days: BankDays, from_date: str, to_date: str) -> list[DagRunInfo]:
    """Ask for a backfill's runs as `SerializedDAG.iter_dagrun_infos_between` does."""
    restriction = TimeRestriction(at(from_date), at(to_date), catchup=True)
    runs: list[DagRunInfo] = []
    while run := days.next_dagrun_info_v2(last_dagrun_info=runs[-1] if runs else None, restriction=restriction):
        runs.append(run)
    return runs


def dates(days: BankDays, runs: list[DagRunInfo]) -> list[str]:
    return [str(days.settlement_date_of(run.data_interval)) for run in runs if run.data_interval]


@pytest.mark.parametrize(
    ("from_date", "to_date", "settled"),
    [
        pytest.param(
            "2026-02-09T00:00Z",
            "2026-02-13T00:00Z",
            ["2026-02-09", "2026-02-10", "2026-02-11", "2026-02-12", "2026-02-13"],
            id="a week that begins on a Monday",
        ),
        pytest.param("2026-02-19T00:00Z", "2026-02-20T00:00Z", ["2026-02-19", "2026-02-20"], id="after a holiday"),
        pytest.param("2026-02-09T00:00Z", "2026-02-09T00:00Z", ["2026-02-09"], id="one Monday"),
        pytest.param("2026-02-19T00:00Z", "2026-02-19T00:00Z", ["2026-02-19"], id="one day after a holiday"),
        pytest.param("2026-02-14T00:00Z", "2026-02-18T00:00Z", [], id="nothing but holidays"),
        pytest.param("2026-02-13T00:00Z", "2026-02-19T00:00Z", ["2026-02-13", "2026-02-19"], id="around holidays"),
        pytest.param(
            "2026-02-09T00:00+09:00", "2026-02-10T23:59+09:00", ["2026-02-09", "2026-02-10"], id="local times"
        ),
    ],
)
@pytest.mark.parametrize("cut_off", ["24:00", "17:00"])
def test_a_backfill_settles_exactly_the_dates_it_names(
    from_date: str, to_date: str, settled: list[str], cut_off: str
) -> None:
    days = timetable(cut_off=cut_off)
    assert dates(days, backfilled(days, from_date, to_date)) == settled


def test_a_bare_date_means_itself_west_of_greenwich_too() -> None:
    days = timetable(timezone="America/New_York", calendar={"country": "US", "categories": ["public"]})
    runs = backfilled(days, "2026-02-09T00:00Z", "2026-02-11T00:00Z")
    assert dates(days, runs) == ["2026-02-09", "2026-02-10", "2026-02-11"]


def test_the_data_interval_is_the_window_and_the_run_starts_the_calendar_day_after() -> None:
    (monday,) = backfilled(timetable(cut_off="17:00"), "2026-02-09T00:00Z", "2026-02-09T00:00Z")
    assert monday.data_interval == (at("2026-02-06T17:00"), at("2026-02-09T17:00"))
    assert monday.logical_date == at("2026-02-06T17:00")
    assert monday.run_after == at("2026-02-10T06:00")


def interval(days: BankDays, on: str) -> DataInterval:
    window = days.days.window(date.fromisoformat(on))
    return DataInterval(pendulum.instance(window.from_at), pendulum.instance(window.until_at_exclusive))


@pytest.mark.parametrize(
    ("now", "last", "scheduled"),
    [
        pytest.param("2026-02-20T05:59", None, "2026-02-13", id="unpaused before the run is due"),
        pytest.param("2026-02-20T06:00", None, "2026-02-19", id="unpaused when the run is due"),
        pytest.param("2026-02-20T06:00", "2026-02-19", "2026-02-20", id="after the newest"),
        pytest.param("2026-02-20T06:00", "2026-02-10", "2026-02-11", id="after an outage the oldest that was missed"),
        pytest.param("2026-02-20T06:00", "2026-01-09", "2026-02-03", id="after a backfill of last month"),
        pytest.param("2026-02-17T12:00", "2026-02-13", "2026-02-19", id="over the holidays"),
    ],
)
def test_the_next_run_follows_the_newest_without_gaps_as_far_back_as_the_policy_catches_up(
    clock: type[Clock], now: str, last: str | None, scheduled: str
) -> None:
    clock.at = at(now)
    days = timetable()
    run = days.next_dagrun_info(
        last_automated_data_interval=interval(days, last) if last else None,
        restriction=TimeRestriction(None, None, catchup=False),
    )
    assert run and run.data_interval == interval(days, scheduled)


def scheduled(days: BankDays, last: DagRunInfo | None, *, until: str) -> list[str]:
    """The dates whose runs the scheduler starts until an instant, one after the other."""
    restriction, started = TimeRestriction(None, None, catchup=False), list[DagRunInfo]()
    while run := days.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction):
        if run.run_after > at(until):
            return dates(days, started)
        last = run
        started.append(run)
    return dates(days, started)


def test_dates_that_an_outage_missed_follow_oldest_first_and_none_is_passed_over(clock: type[Clock]) -> None:
    clock.at = at("2026-02-24T10:00")
    days = timetable()
    before = backfilled(days, "2026-02-12T00:00Z", "2026-02-12T00:00Z")[-1]
    assert scheduled(days, before, until="2026-02-24T10:00") == ["2026-02-13", "2026-02-19", "2026-02-20", "2026-02-23"]
    assert scheduled(days, None, until="2026-02-24T10:00") == ["2026-02-23"]


def test_a_date_that_ran_and_is_closed_by_now_is_followed_by_the_next_one(clock: type[Clock]) -> None:
    clock.at = at("2026-02-23T10:00")
    ran = backfilled(timetable(), "2026-02-19T00:00Z", "2026-02-19T00:00Z")[-1]
    closed = timetable(calendar={"overrides": [{"date": "2026-02-19", "business": False}]})
    assert dates(closed, [ran]) == ["2026-02-19"]
    assert scheduled(closed, ran, until="2026-02-23T10:00") == ["2026-02-20"]


def test_dates_before_the_policys_first_are_not_caught_up(clock: type[Clock]) -> None:
    clock.at = at("2026-02-24T10:00")
    days = timetable(first_settlement_date=date(2026, 2, 20))
    before = backfilled(timetable(), "2026-02-12T00:00Z", "2026-02-12T00:00Z")[-1]
    assert scheduled(days, before, until="2026-02-24T10:00") == ["2026-02-20", "2026-02-23"]


def test_a_policy_that_catches_up_no_date_but_the_newest_passes_the_others_over(clock: type[Clock]) -> None:
    clock.at = at("2026-02-20T10:00")
    days = timetable(schedule={"catch_up": 1})
    backfill = backfilled(days, "2026-01-05T00:00Z", "2026-01-09T00:00Z")
    assert dates(days, backfill)[-1] == "2026-01-09"
    restriction = TimeRestriction(None, None, catchup=False)
    following = days.next_dagrun_info_v2(last_dagrun_info=backfill[-1], restriction=restriction)
    assert following and dates(days, [following]) == ["2026-02-19"]
    coming = days.next_dagrun_info_v2(last_dagrun_info=following, restriction=restriction)
    assert coming and coming.run_after == at("2026-02-21T06:00")


def test_catch_up_takes_every_date_since_the_last(clock: type[Clock]) -> None:
    days = timetable()
    run = days.next_dagrun_info(
        last_automated_data_interval=interval(days, "2026-01-09"),
        restriction=TimeRestriction(None, None, catchup=True),
    )
    assert run and dates(days, [run]) == ["2026-01-12"]


def test_no_run_is_made_outside_the_policys_dates(clock: type[Clock]) -> None:
    clock.at = at("2026-02-20T10:00")
    days = timetable(first_settlement_date=date(2026, 2, 10), last_settlement_date=date(2026, 2, 12))
    restriction = TimeRestriction(None, None, catchup=False)
    newest = days.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert newest and dates(days, [newest]) == ["2026-02-12"]
    assert days.next_dagrun_info_v2(last_dagrun_info=newest, restriction=restriction) is None
    settled = backfilled(days, "2026-02-01T00:00Z", "2026-02-28T00:00Z")
    assert dates(days, settled) == ["2026-02-10", "2026-02-11", "2026-02-12"]


def test_a_policy_that_begins_in_the_future_schedules_its_first_date(clock: type[Clock]) -> None:
    days = timetable(first_settlement_date=date(2026, 7, 17))
    for catchup in (True, False):
        run = days.next_dagrun_info(
            last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=catchup)
        )
        assert run and dates(days, [run]) == ["2026-07-20"]


def test_where_the_clock_stands_still_nothing_is_scheduled_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETTLEMENT_NOW", "2026-02-13T12:00:00+09:00")
    days = timetable()
    restriction = TimeRestriction(None, None, catchup=False)
    newest = days.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert newest and dates(days, [newest]) == ["2026-02-12"]
    assert days.next_dagrun_info_v2(last_dagrun_info=newest, restriction=restriction) is None
    assert dates(days, backfilled(days, "2026-02-11T00:00Z", "2026-02-20T00:00Z")) == ["2026-02-11", "2026-02-12"]
    assert days.settlement_date_of(days.infer_manual_data_interval(run_after=at("2026-11-20T10:00"))) == date(
        2026, 2, 12
    )


@pytest.mark.parametrize(
    ("triggered_at", "settled"),
    [
        pytest.param("2026-02-12T00:00Z", "2026-02-12", id="a bare business day"),
        pytest.param("2026-02-13T00:00", "2026-02-13", id="midnight in Seoul"),
        pytest.param("2026-02-13T23:30", "2026-02-13", id="late in the evening"),
        pytest.param("2026-02-15T00:00Z", "2026-02-13", id="a bare Sunday names none: the newest before"),
        pytest.param("2026-02-17T14:30", "2026-02-13", id="a holiday names none"),
        pytest.param("2026-02-20T09:00", "2026-02-19", id="the present moment names none"),
        pytest.param("2026-03-03T00:00Z", "2026-02-19", id="the future names none"),
    ],
)
def test_a_manual_run_shows_the_window_of_the_date_it_names_or_the_newest_past_its_cut_off(
    clock: type, triggered_at: str, settled: str
) -> None:
    days = timetable()
    assert days.infer_manual_data_interval(run_after=at(triggered_at)) == interval(days, settled)


def test_a_manual_run_before_the_first_date_has_an_empty_interval() -> None:
    days = timetable(first_settlement_date=date(2026, 7, 1))
    empty = days.infer_manual_data_interval(run_after=at("2026-02-13T10:00"))
    assert empty.start == empty.end and days.settlement_date_of(empty) is None


def test_what_the_window_of_a_manual_run_says_is_what_the_run_is_asked(clock: type) -> None:
    days, now = timetable(), at("2026-02-20T09:00")
    for instant in ("2026-02-12T00:00Z", "2026-02-13T00:00", "2026-02-13T23:30"):
        run = AirflowRun(run_id="r", run_type="manual", triggered_at=now, logical_date=at(instant))
        shown = days.settlement_date_of(days.infer_manual_data_interval(run_after=at(instant)))
        assert asked.request_of(run, calendar=days.days, now=now).settlement_date == shown


def test_runs_are_named_after_their_settlement_date() -> None:
    days = timetable()
    (friday,) = backfilled(days, "2026-02-13T00:00Z", "2026-02-13T00:00Z")

    def named(run_type: DagRunType) -> str:
        return days.generate_run_id(
            run_type=run_type, run_after=friday.run_after, data_interval=friday.data_interval, partition_key=None
        )

    assert named(DagRunType.SCHEDULED) == "scheduled__2026-02-13"
    assert named(DagRunType.BACKFILL_JOB) == "backfill__2026-02-13"
    assert named(DagRunType.MANUAL) == "manual__2026-02-13T21:00:00+00:00"
    assert (
        days.generate_run_id(run_type=DagRunType.MANUAL, run_after=friday.run_after, data_interval=None)
        == "manual__2026-02-13T21:00:00+00:00"
    )


def test_what_is_serialised_answers_the_same() -> None:
    days = timetable(
        timezone="Europe/Berlin",
        cut_off="17:00",
        run_at="07:30",
        schedule={"catch_up": 3},
        first_settlement_date=date(2026, 2, 9),
        last_settlement_date=date(2026, 12, 30),
        calendar={
            "country": "ECB",
            "categories": ["public"],
            "overrides": [{"date": date(2026, 12, 24), "business": False, "reason": "announced", "by": "ops"}],
        },
    )
    copy = BankDays.deserialize(days.serialize())
    assert copy.days == days.days
    assert copy.description == "Every bank business day (ECB), at 07:30 Europe/Berlin of the calendar day after it"


def test_the_policy_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'timezone = "Asia/Tokyo"\nlast_settlement_date = 2026-12-30\n'
        '[calendar]\ncountry = "JP"\ncategories = ["public", "bank"]\n'
    )
    monkeypatch.setenv("SETTLEMENT_POLICY", str(policy))
    days = BankDays.of_policy().days
    assert (days.timezone, days.calendar.country, days.last) == ("Asia/Tokyo", "JP", date(2026, 12, 30))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('cut_off = "25:00"', r"policy\.toml.*cut_off \[25:00\]"),
        ("cut_off = ", r"policy\.toml"),
        ('first_settlement_date = "soon"', r"policy\.toml.*soon"),
        ("[calendar]\noverrides = [{ business = false }]", r"policy\.toml.*lacks its \[date\]"),
        ("calendar = 3", r"policy\.toml"),
        ("[schedule]\ncatch_up = 0", r"policy\.toml.*schedule\.catch_up \[0\]"),
    ],
)
def test_an_unreadable_policy_is_named(text: str, message: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(text)
    with pytest.raises(ValueError, match=message):
        bank_days.read_policy(policy)


def test_the_shipped_policy_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SETTLEMENT_POLICY", raising=False)
    days = BankDays.of_policy().days
    assert (days.timezone, days.cut_off, days.run_at) == ("Asia/Seoul", "24:00", "06:00")
    assert (
        timedelta(days=6) == interval(BankDays(days), "2026-02-19").end - interval(BankDays(days), "2026-02-19").start
    )


def test_without_a_policy_named_it_reads_the_one_of_the_package_wherever_the_plugins_lie() -> None:
    assert bank_days.DEFAULT_POLICY == config.DEFAULT_POLICY
