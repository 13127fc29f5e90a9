"""A dry run of the worked day: what would change and be owed, and that nothing is written; and the date that is due."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from settlement.domain import controls
from settlement.domain.errors import Broken, Refused
from settlement.ports.days import RunRequest
from settlement.stages import compute, extract, open_day, report

from .conftest import DAYS, Platform

ON = date(2026, 2, 16)
MORNING = "2026-02-17T06:00+09:00"


def dry(platform: Platform, **request: Any) -> dict[str, Any]:
    now = platform.at(MORNING)
    with platform.services() as services:
        asked = RunRequest(settlement_date=ON, run_id="run-dry", dry_run=True, **request)
        day = open_day.open_day(services, asked, now=now)
        extract.freeze_inputs(services, day, now=now)
        computed = compute.distribute(services, day, now=now)
        return report.report(services, day, computed=computed, now=now)


def test_a_dry_run_says_that_it_is_one_and_what_would_be_owed_and_writes_nothing(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    said = dry(platform)
    assert said["said"] == "DRY RUN of [2026-02-16]: nothing was settled, booked or paid"
    assert said["dry_run"] is True
    assert said["totals"]["KRW"]["received_amount"] == 95_000
    assert said["totals"]["KRW"]["distributed_amount"] == 88_050
    assert said["owed"] == {"KRW": {"investors": 3, "amount": 88_050}}
    assert said["is_settled"] is False
    for table in ("days", "runs", "revisions", "entries", "payouts", "snapshots", "breaks", "repayments"):
        assert platform.rows(f"select count(*) from ledger.{table}") == [(0,)], table


def told(platform: Platform) -> list[tuple[Any, ...]]:
    """Return every message that waits: event, key, how loud it is, and whether it stands alone."""
    return platform.rows("select event, dedupe_key, severity, kind from ledger.alert_outbox order by alert_id")


def test_its_report_is_its_one_message_and_a_retry_is_no_second(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    dry(platform)
    dry(platform)
    assert told(platform) == [("day.dry_run", "2026-02-16:dry:run-dry", "info", "root")]
    ((fields,),) = platform.rows("select payload -> 'day.dry_run' -> 'fields' from ledger.alert_outbox")
    assert fields["finding"] == "would_settle"
    assert fields["owed"] == [{"amount": 88_050, "currency": "KRW"}]
    assert [(item["currency"], item["received_amount"]) for item in fields["totals"]] == [("KRW", 95_000)]


def test_a_dry_run_that_is_run_again_says_that_it_keeps_its_conf_in_a_message_of_its_own(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    dry(platform, run_type="backfill")
    said = dry(platform, run_type="backfill", clear_number=1, kept_conf='{"dry_run": true}')
    assert said["kept_conf"] == '{"dry_run": true}'
    assert said["warning"].startswith('The run was run again with the conf {"dry_run": true}, which Airflow keeps')
    assert said["warning"].endswith("""--dag-run-conf '{"dry_run": false}'""")
    assert told(platform) == [
        ("day.dry_run", "2026-02-16:dry:run-dry", "info", "root"),
        ("day.dry_run", "2026-02-16:dry:run-dry:1", "warning", "root"),
    ]
    assert platform.rows("select count(*) from ledger.backfills") == [(0,)]


def test_a_real_run_that_is_run_again_says_which_conf_it_keeps(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    first = platform.settle("2026-02-16", at=MORNING, transfer=False)
    assert "kept_conf" not in first["report"]
    again = platform.settle("2026-02-16", at=MORNING, transfer=False, clear_number=1, kept_conf='{"transfer": false}')
    assert again["report"]["kept_conf"] == '{"transfer": false}'


def test_a_dry_run_of_a_settled_date_says_that_nothing_would_change(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    platform.settle("2026-02-16", at=MORNING, transfer=False)
    said = dry(platform)
    assert said["is_settled"] is True
    assert said["totals"]["KRW"]["distributed_amount"] == 88_050
    assert said["owed"] == {"KRW": {"investors": 3, "amount": 88_050}}


def test_a_control_that_stops_a_dry_run_is_neither_booked_nor_told_as_the_days(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(outcome: Any) -> None:
        raise Broken("entries_balance", "an entry sums to [1 KRW]")

    monkeypatch.setattr(controls, "check_outcome", broken)
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    with pytest.raises(Broken, match="entries_balance"):
        dry(platform)
    assert told(platform) == []
    assert platform.rows("select count(*) from ledger.control_results") == [(0,)]


def test_a_report_without_anything_computed_is_refused(platform: Platform) -> None:
    with platform.services() as services:
        now = platform.at(MORNING)
        day = open_day.open_day(services, RunRequest(settlement_date=ON, run_id="run-dry", dry_run=True), now=now)
        with pytest.raises(Refused, match=r"dry run \[run-dry\] of \[2026-02-16\] has computed nothing"):
            report.report(services, day, now=now)


def test_a_cleared_run_keeps_the_date_that_it_took_on(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    platform.settle("2026-02-20", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-20")

    def taken() -> date:
        now = platform.at("2026-02-25T10:00+09:00")
        with platform.services() as services:
            asked = RunRequest(settlement_date=None, run_id="run-left")
            day = open_day.open_day(services, asked, now=now)
            extract.freeze_inputs(services, day, now=now)
            compute.distribute(services, day, now=now)
            return day.settlement_date

    assert [taken(), taken()] == [date(2026, 2, 23), date(2026, 2, 23)]


def test_without_a_date_a_run_takes_the_oldest_that_is_left_after_the_first_settled_one(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))

    def due() -> date:
        now = platform.at("2026-02-25T10:00+09:00")
        with platform.services() as services:
            asked = RunRequest(settlement_date=None, run_id="run-dry", dry_run=True)
            return open_day.open_day(services, asked, now=now).settlement_date

    assert due() == date(2026, 2, 24)  # nothing is settled: the newest past its cut-off
    platform.settle("2026-02-20", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-20")
    assert due() == date(2026, 2, 23)  # the 19th lies before the first settled one
    platform.settle("2026-02-23", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-23")
    assert due() == date(2026, 2, 24)
    platform.settle("2026-02-24", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-24")
    assert due() == date(2026, 2, 24)  # everything is settled: the newest again, which changes nothing
