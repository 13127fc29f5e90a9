"""What a run was asked, read strictly: the date that it names, and what is refused before anything is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from settlement.domain.days import BankCalendar, SettlementCalendar
from settlement.domain.errors import Refused
from settlement.ports.days import AirflowRun, RunRequest
from settlement.stages import asked

CALENDAR = SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank")), timezone="Asia/Seoul")
NOW = "2026-02-24T10:00+09:00"  # a Tuesday; the 23rd is the newest date past its cut-off
FOUR = r"there are \[settlement_date, dry_run, transfer, reason\]"


def read(now: str = NOW, **said: Any) -> RunRequest:
    conf = said.pop("conf", {})
    params = {"settlement_date": None, "dry_run": False, "transfer": True, "reason": None} | conf
    given: dict[str, Any] = {"run_id": "run-1", "run_type": "manual", "triggered_at": datetime.fromisoformat(now)}
    logical = said.pop("logical_date", None)
    interval = said.pop("interval", None)
    run = AirflowRun(
        **(given | {"conf": conf, "params": params} | said),
        logical_date=datetime.fromisoformat(logical) if logical else None,
        interval=(datetime.fromisoformat(interval[0]), datetime.fromisoformat(interval[1])) if interval else None,
    )
    return asked.request_of(run, calendar=CALENDAR, now=datetime.fromisoformat(now))


@pytest.mark.parametrize(
    ("logical_date", "named"),
    [
        pytest.param("2026-02-13T00:00+00:00", date(2026, 2, 13), id="midnight UTC names that date"),
        pytest.param("2026-02-12T15:00+00:00", date(2026, 2, 13), id="midnight in Seoul names the date there"),
        pytest.param("2026-02-13T00:00+09:00", date(2026, 2, 13), id="the same, written with its offset"),
        pytest.param("2026-02-13T23:30+09:00", date(2026, 2, 13), id="late in the evening"),
        pytest.param("2026-02-24T10:00+09:00", None, id="the present moment, as the form fills it"),
        pytest.param("2026-02-24T00:00+00:00", None, id="today at midnight UTC"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_manual_runs_logical_date_names_a_date(logical_date: str | None, named: date | None) -> None:
    assert read(logical_date=logical_date).settlement_date == named


@pytest.mark.parametrize(
    ("logical_date", "named"),
    [
        pytest.param("2026-02-15T00:00+00:00", "2026-02-15", id="a Sunday"),
        pytest.param("2026-02-13T15:30+00:00", "2026-02-14", id="the first hour of a Saturday in Seoul"),
        pytest.param("2026-02-17T03:00+00:00", "2026-02-17", id="a holiday"),
        pytest.param("2026-02-26T00:00+00:00", "2026-02-26", id="the future"),
    ],
)
def test_any_other_date_that_cannot_be_settled_is_refused_by_name(logical_date: str, named: str) -> None:
    refusal = (
        rf'names \[{named}\]. \[{named}\] cannot be settled: .*date to settle: \{{"settlement_date": "YYYY-MM-DD"\}}'
    )
    with pytest.raises(Refused, match=refusal):
        read(logical_date=logical_date)


def test_the_form_on_a_sunday_names_no_date() -> None:
    assert read(now="2026-02-22T09:15+09:00", logical_date="2026-02-22T00:15:00+00:00").settlement_date is None


def test_the_form_means_the_same_when_its_run_is_cleared_days_later() -> None:
    triggered_at = datetime.fromisoformat("2026-02-23T10:00+09:00")
    form = {"logical_date": "2026-02-23T01:00+00:00", "triggered_at": triggered_at}
    assert read(now="2026-02-23T10:01+09:00", **form).settlement_date is None
    assert read(now="2026-02-25T10:00+09:00", clear_number=1, **form).settlement_date is None


def test_a_date_that_was_to_come_is_named_once_it_has_passed() -> None:
    triggered_at = datetime.fromisoformat("2026-02-20T10:00+09:00")
    asked_before = {"logical_date": "2026-02-23T00:00+00:00", "triggered_at": triggered_at}
    with pytest.raises(Refused, match=r"names \[2026-02-23\]"):
        read(now="2026-02-23T10:00+09:00", **asked_before)
    assert read(now="2026-02-24T10:00+09:00", **asked_before).settlement_date == date(2026, 2, 23)


def test_today_is_named_after_its_cut_off() -> None:
    early = SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank")), timezone="Asia/Seoul", cut_off="17:00")
    for now, named in (("2026-02-23T16:59+09:00", None), ("2026-02-23T17:00+09:00", date(2026, 2, 23))):
        at = datetime.fromisoformat(now)
        run = AirflowRun(run_id="r", run_type="manual", triggered_at=at, logical_date=at)
        assert asked.request_of(run, calendar=early, now=at).settlement_date == named


def test_where_the_clock_is_set_both_presents_name_no_date() -> None:
    triggered_at = datetime.fromisoformat("2026-11-28T12:00+09:00")
    for logical_date in ("2026-11-28T03:00+00:00", "2026-02-24T00:00+00:00"):
        assert read(logical_date=logical_date, triggered_at=triggered_at).settlement_date is None
    assert read(logical_date="2026-02-23T00:00+00:00", triggered_at=triggered_at).settlement_date == date(2026, 2, 23)


def test_what_the_clock_says_of_the_interval_is_not_looked_at() -> None:
    window = ("2026-02-20T00:00+09:00", "2026-02-24T00:00+09:00")  # the command line infers it from the clock
    assert read(logical_date="2026-02-13T00:00+00:00", interval=window).settlement_date == date(2026, 2, 13)


def test_the_parameter_comes_before_the_logical_date() -> None:
    found = read(conf={"settlement_date": "2026-02-12"}, logical_date="2026-02-13T00:00+00:00")
    assert found == RunRequest(settlement_date=date(2026, 2, 12), run_id="run-1")


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_with_an_interval_of_its_own_has_its_own_date(run_type: str) -> None:
    window = ("2026-02-12T00:00+09:00", "2026-02-13T00:00+09:00")
    assert read(run_type=run_type, interval=window).settlement_date == date(2026, 2, 12)
    same = read(run_type=run_type, interval=window, conf={"settlement_date": "2026-02-12"})
    assert same.settlement_date == date(2026, 2, 12)
    with pytest.raises(Refused, match=r"asked for settlement_date \[2026-02-13\] and is the run of \[2026-02-12\]"):
        read(run_type=run_type, interval=window, conf={"settlement_date": "2026-02-13"})


def test_a_run_by_hand_that_a_backfill_took_over_is_of_the_backfills_date() -> None:
    of_the_clock = ("2026-02-23T00:00+09:00", "2026-02-24T00:00+09:00")
    found = read(run_type="backfill", logical_date="2026-02-13T00:00+09:00", interval=of_the_clock, clear_number=1)
    assert found.settlement_date == date(2026, 2, 13)


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"settlement_date": "2026-02-12", "dryrun": True}, rf"asked \[dryrun\] = \[true\], .* {FOUR}"),
        ({"settlementDate": "2026-02-12"}, rf"asked \[settlementDate\] .* {FOUR}"),
        ({"dry_run": "yes"}, r"\[dry_run\] = \[yes\] is neither true nor false"),
        ({"transfer": 0}, r"\[transfer\] = \[0\] is neither true nor false"),
        ({"settlement_date": "12.2.2026"}, r"\[settlement_date\] = \[12.2.2026\] is not a date"),
        ({"reason": 7}, r"\[reason\] = \[7\] is not a text"),
    ],
)
def test_what_is_no_parameter_or_no_value_is_refused(conf: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        read(conf=conf)


def test_a_value_that_the_params_do_not_have_is_refused() -> None:
    params = {"settlement_date": None, "dry_run": False, "transfer": True, "reason": None}
    with pytest.raises(Refused, match=rf"conf says \[dry_run\] = \[true\] and its params say \[false\]: {FOUR}"):
        read(conf={"dry_run": True}, params=params)


def test_what_airflow_adds_by_itself_is_passed_over() -> None:
    assert read(conf={"openlineage": {"parentRunId": "x"}, "dry_run": True}).dry_run is True


def test_the_other_dag_reads_its_one_parameter_as_strictly() -> None:
    run = AirflowRun(
        run_id="r", run_type="manual", triggered_at=datetime.fromisoformat(NOW), conf={"asof": "2026-02-23"}
    )
    with pytest.raises(Refused, match=r"asked \[asof\] = \[\"2026-02-23\"\], .* there are \[as_of\]"):
        asked.check_parameters(run, known=("as_of",))
    with pytest.raises(Refused, match=r"asked \[asof\] = \[\"2026-02-23\"\], which is no parameter: there are none"):
        asked.check_parameters(run)


def test_a_run_that_is_run_again_says_which_conf_it_keeps() -> None:
    window = ("2026-02-12T00:00+09:00", "2026-02-13T00:00+09:00")
    first = read(run_type="backfill", interval=window, conf={"dry_run": True})
    again = read(run_type="backfill", interval=window, conf={"dry_run": True}, clear_number=1)
    assert (first.kept_conf, again.kept_conf) == (None, '{"dry_run": true}')
    assert again.clear_number == 1
    assert read(run_type="backfill", interval=window, clear_number=1).kept_conf is None


def test_the_conf_that_is_kept_is_told_without_a_persons_words() -> None:
    conf = {"transfer": False, "reason": "asked by Kim", "openlineage": {"parentRunId": "x"}}
    assert read(conf=conf, clear_number=1).kept_conf == '{"transfer": false}'
    assert read(conf={"reason": "asked by Kim"}, clear_number=1).kept_conf is None


def test_who_is_told_of_a_failure_hears_the_date_that_was_opened_or_meant_and_junk_names_none() -> None:
    now = datetime.fromisoformat(NOW)

    @contextmanager
    def books() -> Iterator[Any]:
        opened = {"opened": SimpleNamespace(settlement_date=date(2026, 2, 20))}
        yield SimpleNamespace(days=SimpleNamespace(run=opened.get))

    def named(**said: Any) -> date | None:
        given: dict[str, Any] = {"run_id": "r", "run_type": "manual", "triggered_at": now}
        services: Any = SimpleNamespace(calendar=CALENDAR, ledger=SimpleNamespace(books=books))
        return asked.date_of(services, AirflowRun(**(given | said)), now=now)

    assert named(run_id="opened", logical_date=now) == date(2026, 2, 20)
    assert named(logical_date=now) is None
    quarter = datetime.fromisoformat("2026-02-23T10:15+09:00")  # `bank_reconciliation` is about no date
    assert named(run_type="scheduled", logical_date=quarter, interval=(quarter, quarter)) is None
    assert named(conf={"settlement_date": "2026-02-15"}) == date(2026, 2, 15)
    assert named(conf={"settlement_date": "junk"}) is None
    assert named(conf={"settlement_date": 7}) is None
    assert named(logical_date=datetime.fromisoformat("2026-02-13T00:00+00:00")) == date(2026, 2, 13)
    assert named() is None
