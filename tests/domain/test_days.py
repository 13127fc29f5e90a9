"""Settlement dates of 2026 in Korea: Lunar New Year closes the banks from Monday 16 to Wednesday 18 February."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from settlement.domain.days import BankCalendar, LookBack, Override, SettlementCalendar, Window, Windows
from settlement.domain.errors import NotASettlementDate

SEOUL = ZoneInfo("Asia/Seoul")
KOREA = BankCalendar("KR", ("public", "bank"))


def korean(calendar: BankCalendar = KOREA, **terms: Any) -> SettlementCalendar:
    return SettlementCalendar(calendar=calendar, timezone="Asia/Seoul", **terms)


def seoul(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL)


@pytest.mark.parametrize(
    ("closed", "why"),
    [
        ("2026-02-14", "it is a Saturday"),
        ("2026-02-15", "it is a Sunday"),
        ("2026-02-16", "it is a bank holiday (The day preceding Korean New Year)"),
        ("2026-02-17", "it is a bank holiday (Korean New Year)"),
        ("2026-02-18", "it is a bank holiday (The second day of Korean New Year)"),
        ("2026-03-02", "it is a bank holiday (Alternative holiday for Independence Movement Day)"),
        ("2026-05-01", "it is a bank holiday (Labor Day)"),
        ("2026-05-25", "it is a bank holiday (Alternative holiday for Buddha's Birthday)"),
    ],
)
def test_weekends_holidays_and_their_substitutes_are_closed_and_named(closed: str, why: str) -> None:
    assert not KOREA.is_business_day(date.fromisoformat(closed))
    assert KOREA.why_closed(date.fromisoformat(closed)) == why


def test_business_days_lead_around_lunar_new_year() -> None:
    assert KOREA.next_business_day(date(2026, 2, 13)) == date(2026, 2, 19)
    assert KOREA.previous_business_day(date(2026, 2, 19)) == date(2026, 2, 13)
    assert KOREA.why_closed(date(2026, 2, 19)) is None
    assert KOREA.days_between(date(2026, 2, 12), date(2026, 2, 20)) == [
        date(2026, 2, 12),
        date(2026, 2, 13),
        date(2026, 2, 19),
        date(2026, 2, 20),
    ]


def test_an_override_closes_a_business_day_and_opens_a_holiday() -> None:
    calendar = BankCalendar(
        "KR",
        ("public", "bank"),
        (Override(date(2026, 12, 24), business=False, reason="announced"), Override(date(2026, 2, 16), business=True)),
    )
    assert calendar.why_closed(date(2026, 12, 24)) == "the policy closes it (announced)"
    assert calendar.next_business_day(date(2026, 12, 23)) == date(2026, 12, 28)
    assert calendar.next_business_day(date(2026, 2, 13)) == date(2026, 2, 16)
    assert calendar.why_closed(date(2026, 2, 16)) is None


def test_the_euro_is_settled_on_the_days_of_the_central_bank() -> None:
    target = BankCalendar("ECB", ("public",))
    assert not target.is_business_day(date(2026, 4, 3))
    assert target.next_business_day(date(2026, 4, 2)) == date(2026, 4, 7)
    assert target.why_closed(date(2026, 4, 6)) == "it is a bank holiday (Easter Monday)"
    assert target.is_business_day(date(2026, 2, 17))


@pytest.mark.parametrize(
    ("calendar", "message"),
    [
        (BankCalendar("Atlantis"), r"calendar\.country \[Atlantis\] is neither a country nor a market"),
        (
            BankCalendar("ECB", ("public", "bank")),
            r"calendar\.categories \[bank\] are not known for \[ECB\].*\[public\]",
        ),
    ],
)
def test_an_unknown_country_or_category_is_named(calendar: BankCalendar, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calendar.is_business_day(date(2026, 2, 19))


@pytest.mark.parametrize(
    ("cut_off", "on", "from_at", "until_at_exclusive"),
    [
        ("24:00", "2026-02-12", "2026-02-12T00:00", "2026-02-13T00:00"),
        ("24:00", "2026-02-09", "2026-02-07T00:00", "2026-02-10T00:00"),
        ("24:00", "2026-02-19", "2026-02-14T00:00", "2026-02-20T00:00"),
        ("17:00", "2026-02-12", "2026-02-11T17:00", "2026-02-12T17:00"),
        ("17:00", "2026-02-09", "2026-02-06T17:00", "2026-02-09T17:00"),
        ("17:00", "2026-02-19", "2026-02-13T17:00", "2026-02-19T17:00"),
        ("00:00", "2026-02-12", "2026-02-11T00:00", "2026-02-12T00:00"),
    ],
)
def test_a_window_runs_from_cut_off_to_cut_off_over_what_is_closed_between(
    cut_off: str, on: str, from_at: str, until_at_exclusive: str
) -> None:
    window = korean(cut_off=cut_off).window(date.fromisoformat(on))
    assert window == (seoul(from_at), seoul(until_at_exclusive))
    assert window.from_at.tzinfo is UTC and window.until_at_exclusive.tzinfo is UTC


@pytest.mark.parametrize(
    ("cut_off", "received_at", "settlement_date"),
    [
        ("24:00", "2026-02-13T23:59:59.999999", "2026-02-13"),
        ("24:00", "2026-02-14T00:00", "2026-02-19"),
        ("24:00", "2026-02-16T11:00", "2026-02-19"),
        ("17:00", "2026-02-13T16:59:59.999999", "2026-02-13"),
        ("17:00", "2026-02-13T17:00", "2026-02-19"),
        ("17:00", "2026-02-12T17:00", "2026-02-13"),
        ("17:00", "2026-02-18T23:00", "2026-02-19"),
        ("00:00", "2026-02-12T00:00", "2026-02-13"),
    ],
)
def test_money_belongs_to_the_business_day_in_whose_window_it_arrives(
    cut_off: str, received_at: str, settlement_date: str
) -> None:
    assert korean(cut_off=cut_off).settlement_date_of(seoul(received_at)) == date.fromisoformat(settlement_date)


def test_windows_follow_the_clock_through_daylight_saving() -> None:
    berlin = SettlementCalendar(calendar=BankCalendar("ECB"), timezone="Europe/Berlin", cut_off="17:00")
    assert berlin.window(date(2026, 3, 30)) == (
        datetime(2026, 3, 27, 16, tzinfo=UTC),
        datetime(2026, 3, 30, 15, tzinfo=UTC),
    )
    assert berlin.window(date(2026, 10, 26)) == (
        datetime(2026, 10, 23, 15, tzinfo=UTC),
        datetime(2026, 10, 26, 16, tzinfo=UTC),
    )


@pytest.mark.parametrize("cut_off", ["24:00", "02:30", "00:30", "23:30"])
@pytest.mark.parametrize("zone", ["Asia/Seoul", "Europe/Berlin", "America/New_York", "America/Havana", "Asia/Beirut"])
def test_every_instant_of_a_year_lies_in_exactly_the_window_of_its_date(zone: str, cut_off: str) -> None:
    days = SettlementCalendar(calendar=KOREA, timezone=zone, cut_off=cut_off)
    instant = datetime(2026, 1, 1, tzinfo=UTC)
    while instant.year == 2026:
        window = days.window(days.settlement_date_of(instant))
        assert window.from_at <= instant < window.until_at_exclusive
        assert days.settlement_date_of_window(window.until_at_exclusive) == days.settlement_date_of(instant)
        instant += timedelta(minutes=7 * 60 + 30)


@pytest.mark.parametrize(
    ("cut_off", "now", "newest"),
    [
        ("24:00", "2026-02-12T23:59", "2026-02-11"),
        ("24:00", "2026-02-13T00:00", "2026-02-12"),
        ("24:00", "2026-02-18T12:00", "2026-02-13"),
        ("17:00", "2026-02-12T16:59", "2026-02-11"),
        ("17:00", "2026-02-12T17:00", "2026-02-12"),
        ("17:00", "2026-02-19T09:00", "2026-02-13"),
    ],
)
def test_the_newest_settleable_date_is_the_last_one_past_its_cut_off(cut_off: str, now: str, newest: str) -> None:
    assert korean(cut_off=cut_off).newest_settleable(seoul(now)) == date.fromisoformat(newest)


def test_nothing_is_settleable_before_the_first_date_or_after_the_last() -> None:
    days = korean(first=date(2026, 2, 9), last=date(2026, 2, 13))
    assert days.newest_settleable(seoul("2026-02-09T12:00")) is None
    assert days.newest_settleable(seoul("2026-03-20T12:00")) == date(2026, 2, 13)
    assert days.oldest_from(date(2026, 1, 1)) == date(2026, 2, 9)
    assert days.oldest_from(date(2026, 2, 14)) is None
    assert days.days_between(date(2026, 2, 5), date(2026, 2, 20)) == [date(2026, 2, day) for day in range(9, 14)]


def test_a_run_starts_on_the_calendar_day_after_even_on_a_weekend() -> None:
    assert korean(run_at="06:00").run_after(date(2026, 2, 13)) == seoul("2026-02-14T06:00")
    assert korean(run_at="00:10", cut_off="17:00").run_after(date(2026, 2, 12)) == seoul("2026-02-13T00:10")


@pytest.mark.parametrize(
    ("on", "message"),
    [
        (
            "2026-02-15",
            "[2026-02-15] cannot be settled: it is a Sunday. "
            "The nearest dates that can be settled are [2026-02-13] and [2026-02-19].",
        ),
        (
            "2026-02-17",
            "[2026-02-17] cannot be settled: it is a bank holiday (Korean New Year). "
            "The nearest dates that can be settled are [2026-02-13] and [2026-02-19].",
        ),
        (
            "2026-02-21",
            "[2026-02-21] cannot be settled: it is a Saturday. The nearest date that can be settled is [2026-02-19].",
        ),
        (
            "2026-03-05",
            "[2026-03-05] cannot be settled: it lies in the future, today is [2026-02-20] in Asia/Seoul. "
            "The nearest date that can be settled is [2026-02-19].",
        ),
        (
            "2026-02-20",
            "[2026-02-20] cannot be settled: money for it may still arrive until its cut-off at 24:00 Asia/Seoul. "
            "The nearest date that can be settled is [2026-02-19].",
        ),
        (
            "2026-02-06",
            "[2026-02-06] cannot be settled: the policy's first settlement date is [2026-02-09]. "
            "The nearest date that can be settled is [2026-02-09].",
        ),
    ],
)
def test_a_wrong_date_is_refused_with_its_reason_and_the_nearest_right_dates(on: str, message: str) -> None:
    days = korean(first=date(2026, 2, 9))
    with pytest.raises(NotASettlementDate) as refusal:
        days.check(date.fromisoformat(on), now=seoul("2026-02-20T10:00"))
    assert str(refusal.value) == message


def test_a_date_after_the_policys_last_is_refused_with_the_last() -> None:
    with pytest.raises(
        NotASettlementDate, match=r"last settlement date is \[2026-02-13\]\. .* settled is \[2026-02-13\]"
    ):
        korean(last=date(2026, 2, 13)).check(date(2026, 2, 19), now=seoul("2026-02-20T10:00"))


def test_before_the_first_cut_off_the_refusal_says_which_date_will_be_the_first() -> None:
    with pytest.raises(NotASettlementDate, match=r"No date can be settled yet; the first will be \[2026-02-09\]"):
        korean(first=date(2026, 2, 7)).check(date(2026, 2, 9), now=seoul("2026-02-09T10:00"))


def test_a_business_day_past_its_cut_off_is_accepted() -> None:
    korean(cut_off="17:00").check(date(2026, 2, 20), now=seoul("2026-02-20T17:00"))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"timezone": "Asia/Soul"}, r"timezone \[Asia/Soul\]"),
        ({"cut_off": "24:01"}, r"cut_off \[24:01\]"),
        ({"cut_off": "7:00"}, r"cut_off \[7:00\]"),
        ({"run_at": "24:00"}, r"run_at \[24:00\]"),
        ({"run_at": "06:60"}, r"run_at \[06:60\]"),
        ({"first": date(2026, 2, 9), "last": date(2026, 2, 6)}, r"\[2026-02-06\] lies before .* \[2026-02-09\]"),
    ],
)
def test_terms_that_mean_nothing_are_refused_with_their_name(terms: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SettlementCalendar(**{"calendar": KOREA, "timezone": "Asia/Seoul", **terms})


def test_the_module_loads_nothing_heavy() -> None:
    heavy = "{'pandas', 'numpy', 'pyarrow', 'pydantic', 'sqlalchemy', 'holidays'}"
    seen = f"import sys, settlement.domain.days; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout == "[]\n"


def spoken(windows: list[Window]) -> list[str]:
    """Windows as text: the dates at whose ends in Seoul they begin and end."""
    return [" ".join(f"{at.astimezone(SEOUL) - timedelta(days=1):%d}" for at in window) for window in windows]


def closing(*closed: str, opened: str = "2026-02-16") -> SettlementCalendar:
    """The Korean calendar in which the 16th is a business day, and some others are none."""
    overrides = [Override(date.fromisoformat(on), False) for on in closed]
    overrides.append(Override(date.fromisoformat(opened), True))
    return korean(BankCalendar("KR", ("public", "bank"), tuple(overrides)))


THE_16TH, THE_19TH, THE_20TH = date(2026, 2, 16), date(2026, 2, 19), date(2026, 2, 20)


def test_windows_of_which_none_was_kept_are_those_of_the_calendar() -> None:
    windows = Windows(closing(), {})
    assert spoken([windows.of(THE_16TH), windows.of(THE_19TH)]) == ["13 16", "16 19"]
    assert {on: spoken(own) for on, own in windows.pieces([THE_16TH, THE_19TH]).items()} == {
        THE_16TH: ["13 16"],
        THE_19TH: ["16 19"],
    }


def test_a_date_that_is_opened_after_the_next_one_was_settled_has_no_money_of_its_own() -> None:
    windows = Windows(closing(), {THE_19TH: korean().window(THE_19TH)})
    assert spoken([windows.of(THE_16TH)]) == ["13 13"]
    assert windows.pieces([THE_16TH])[THE_16TH] == []
    assert windows.date_of(seoul("2026-02-16T12:00")) == THE_19TH


def test_a_date_that_was_settled_and_became_a_holiday_keeps_its_window_from_the_next_one() -> None:
    windows = Windows(closing("2026-02-19"), {THE_19TH: closing().window(THE_19TH)})
    assert spoken([windows.of(THE_19TH), windows.of(THE_20TH)]) == ["16 19", "19 20"]
    assert windows.date_of(seoul("2026-02-19T12:00")) == THE_19TH


def test_money_before_a_window_that_was_kept_is_of_the_date_that_the_calendar_names_now() -> None:
    windows = Windows(closing("2026-02-16", "2026-02-19"), {THE_19TH: closing().window(THE_19TH)})
    assert {on: spoken(own) for on, own in windows.pieces([THE_19TH, THE_20TH]).items()} == {
        THE_19TH: ["16 19"],
        THE_20TH: ["13 16", "19 20"],
    }
    assert [on for _, on in windows.stretches(seoul("2026-02-16T12:00"), seoul("2026-02-20T12:00"))] == [
        THE_20TH,
        THE_19TH,
        THE_20TH,
    ]


@pytest.mark.parametrize(
    ("newest", "reached"),
    [
        (None, [True, True, True]),
        (date(2026, 2, 20), [False, True, True]),
        (date(2026, 2, 21), [False, False, True]),
    ],
)
def test_the_look_back_counts_from_the_newest_settled_date(newest: date | None, reached: list[bool]) -> None:
    look_back = LookBack(days=4, newest=newest)
    assert [look_back.reaches(date(2026, 2, day)) for day in (15, 16, 23)] == reached
