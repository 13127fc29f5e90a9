"""A dry run of the worked day: what would change and be owed, and that nothing is written; and the date that is due."""

from __future__ import annotations

from datetime import date
from typing import Any

from settlement.ports.days import RunRequest
from settlement.stages import compute, extract, report

from .conftest import DAYS, Platform

ON = date(2026, 2, 16)
MORNING = "2026-02-17T06:00+09:00"


def dry(platform: Platform, **request: Any) -> dict[str, Any]:
    now = platform.at(MORNING)
    with platform.services() as services:
        asked = RunRequest(settlement_date=ON, run_id="run-dry", dry_run=True, **request)
        day = extract.open_day(services, asked, now=now)
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
    for table in ("days", "runs", "revisions", "entries", "payouts", "snapshots", "breaks", "repayments"):
        assert platform.rows(f"select count(*) from ledger.{table}") == [(0,)], table


def test_a_dry_run_that_is_run_again_says_that_it_keeps_its_conf(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))
    said = dry(platform, kept_conf='{"dry_run": true}')
    assert said["kept_conf"] == '{"dry_run": true}'
    assert said["said"].startswith(
        "DRY RUN of [2026-02-16]: nothing was settled, booked or paid. This run was run again"
    )
    assert 'keeps the conf of its creation, {"dry_run": true}.' in said["said"]
    assert said["said"].endswith("""start the backfill with --dag-run-conf '{"dry_run": false}'""")


def test_without_a_date_a_run_takes_the_oldest_that_is_left_after_the_first_settled_one(platform: Platform) -> None:
    platform.source((DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8"))

    def due() -> date:
        now = platform.at("2026-02-25T10:00+09:00")
        with platform.services() as services:
            asked = RunRequest(settlement_date=None, run_id="run-dry", dry_run=True)
            return extract.open_day(services, asked, now=now).settlement_date

    assert due() == date(2026, 2, 24)  # nothing is settled: the newest past its cut-off
    platform.settle("2026-02-20", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-20")
    assert due() == date(2026, 2, 23)  # the 19th lies before the first settled one
    platform.settle("2026-02-23", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-23")
    assert due() == date(2026, 2, 24)
    platform.settle("2026-02-24", at="2026-02-25T06:00+09:00", transfer=False, run_id="run-24")
    assert due() == date(2026, 2, 24)  # everything is settled: the newest again, which changes nothing
