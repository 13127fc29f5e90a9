"""When money came and in whose window, worked by hand: windows end at midnight in Seoul, 15:00 UTC."""

from datetime import UTC, date, datetime

import pandas as pd
from settlement.domain import frames
from settlement.domain.computation import arrivals
from settlement.domain.days import BankCalendar, SettlementCalendar, Window, Windows

CALENDAR = SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank")), timezone="Asia/Seoul")
WINDOWS = Windows(CALENDAR, {})


def repayments(**came: str) -> pd.DataFrame:
    """The repayments of a run's inputs, by id, with the instant at which each came."""
    rows = [
        {
            "repayment_id": repayment_id,
            "loan_id": "L1",
            "received_at": datetime.fromisoformat(at),
            "amount": 100,
            "reverses_repayment_id": None,
            "state": "new",
        }
        for repayment_id, at in came.items()
    ]
    return frames.build(frames.REPAYMENTS, rows)


def taken(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"repayment_id": pd.Series(list(ids), dtype="str")})


def test_what_is_not_among_the_inputs_is_asked_for() -> None:
    inputs = repayments(R1="2026-02-20T10:00+09:00", R2="2026-02-20T11:00+09:00")
    assert arrivals.elsewhere(taken("R2", "R3", "R1"), inputs) == ["R3"]
    assert arrivals.elsewhere(taken(), inputs) == []


def test_a_window_ends_at_its_cut_off_and_a_weekend_belongs_to_the_monday_after_it() -> None:
    inputs = repayments(R1="2026-02-20T23:59:59+09:00", R2="2026-02-21T00:00+09:00", R3="2026-02-23T12:00+09:00")
    dated = arrivals.dated(taken("R3", "R1", "R2"), inputs, {}, WINDOWS)
    assert dated["window_on"].tolist() == [date(2026, 2, 23), date(2026, 2, 20), date(2026, 2, 23)]
    assert dated["received_at"].tolist()[1] == datetime(2026, 2, 20, 14, 59, 59, tzinfo=UTC)


def test_what_is_cancelled_ahead_of_its_own_run_came_when_the_source_says() -> None:
    inputs = repayments(R1="2026-02-20T10:00+09:00")
    came = {"R9": datetime(2026, 2, 24, 3, tzinfo=UTC)}
    dated = arrivals.dated(taken("R9", "R1"), inputs, came, WINDOWS)
    assert dated["window_on"].tolist() == [date(2026, 2, 24), date(2026, 2, 20)]


def test_what_came_last_after_a_fridays_cut_off_belongs_to_the_monday_after_it() -> None:
    calendar = SettlementCalendar(
        calendar=BankCalendar("KR", ("public", "bank")), timezone="Asia/Seoul", cut_off="17:00"
    )
    inputs = repayments(R1="2026-02-20T16:59+09:00", R2="2026-02-20T17:00+09:00", R3="2026-02-20T19:00+09:00")
    dated = arrivals.dated(taken("R1", "R2", "R3"), inputs, {}, Windows(calendar, {}))
    assert dated["window_on"].tolist() == [date(2026, 2, 20), date(2026, 2, 23), date(2026, 2, 23)]


def test_nothing_taken_is_in_no_window() -> None:
    assert arrivals.dated(taken(), repayments(), {}, WINDOWS)["window_on"].tolist() == []


def test_what_came_in_a_window_that_was_kept_belongs_to_its_date_though_the_calendar_says_otherwise() -> None:
    kept = Window(datetime(2026, 2, 18, 15, tzinfo=UTC), datetime(2026, 2, 20, 15, tzinfo=UTC))
    inputs = repayments(R1="2026-02-19T12:00+09:00", R2="2026-02-20T12:00+09:00", R3="2026-02-21T12:00+09:00")
    dated = arrivals.dated(taken("R3", "R1", "R2"), inputs, {}, Windows(CALENDAR, {date(2026, 2, 20): kept}))
    assert dated["window_on"].tolist() == [date(2026, 2, 23), date(2026, 2, 20), date(2026, 2, 20)]
