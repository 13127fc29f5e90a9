"""The sheets of a day in its Slack thread: totals without anybody's name, once, and never at the day's expense."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.stages import report
from settlement_lab.slack.sink import Sink

from .conftest import Platform, stage_day
from .payout_stories import settle, worked_day


@pytest.fixture
def slack_platform(platform: Platform, slack: Sink) -> Platform:
    use_slack(platform, slack.base_url)
    worked_day(platform)
    return platform


def use_slack(platform: Platform, base_url: str) -> None:
    connection = {"conn_type": "slack", "password": "xoxb-test", "extra": {"base_url": base_url, "timeout": 2}}
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_SLACK", json.dumps(connection))


def files(slack: Sink) -> list[dict[str, Any]]:
    """Return the files that people see, in every thread."""
    return [
        file
        for channel in slack.store.channels()
        for root, replies in slack.conversation(channel)
        for message in (root, *replies)
        for file in message.get("files") or []
    ]


def deliver(platform: Platform, *, at: str) -> None:
    with platform.services() as services:
        assert services.alerts is not None
        services.alerts.deliver(now=platform.at(at))


def end_backoff(platform: Platform) -> None:
    """Let what waits for Slack be tried at once, as if its time had passed."""
    engine = sa.create_engine(platform.ledger_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("update ledger.alert_roots set next_try_at = 'epoch'")
        connection.exec_driver_sql(
            "update ledger.alert_outbox set uncertain_since = uncertain_since - interval '1 minute'"
        )
    engine.dispose()


def texts(workbook: bytes) -> dict[str, list[str]]:
    """Return every cell of a workbook by sheet, as text."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as book:
        strings = re.findall(r"<t[^>]*>([^<]*)</t>", book.read("xl/sharedStrings.xml").decode())
        names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
        return {
            name: [
                strings[int(value)] if kind else value
                for kind, value in re.findall(
                    r'<c [^>]*?(t="s")?><v>([^<]*)</v>', book.read(f"xl/worksheets/sheet{place}.xml").decode()
                )
            ]
            for place, name in enumerate(names, start=1)
        }


def test_the_totals_of_the_day_lie_in_its_thread_once_and_name_nobody(slack_platform: Platform, slack: Sink) -> None:
    settle(slack_platform)
    deliver(slack_platform, at="2026-02-17T06:05+09:00")
    (file,) = files(slack)
    name, content = slack.store.content(file["id"]) or ("", b"")
    assert name == "settlement-2026-02-16-r1.xlsx"
    cells = texts(content)
    assert list(cells) == ["요약", "원천세"]
    assert cells["요약"][:7] == [
        "2026-02-16 정산, 리비전 1: 요약", "항목", "통화", "금액 또는 값", "상환 받은 금액", "KRW", "95000",
    ]  # fmt: skip
    assert cells["원천세"][-10:] == [
        "individual",
        "KRW",
        "interest",
        "7000",
        "980",
        "90",
        "합계 KRW",
        "10000",
        "980",
        "90",
    ]
    said = {cell for sheet in cells.values() for cell in sheet}
    assert not said & {"A", "B", "C", "L1", "R1", "N1", "홍길동"}
    settle(slack_platform, run_id="run-2")
    deliver(slack_platform, at="2026-02-17T09:00+09:00")
    assert len(files(slack)) == 1


def test_a_day_settles_while_slack_is_down_and_its_totals_come_later_once(
    slack_platform: Platform, slack: Sink
) -> None:
    use_slack(slack_platform, "http://127.0.0.1:9/api/")
    said = settle(slack_platform)
    assert said["report"]["state"] in ("settled", "settled_with_breaks")
    assert files(slack) == []
    use_slack(slack_platform, slack.base_url)
    for at in ("2026-02-17T09:00+09:00", "2026-02-17T10:00+09:00"):
        end_backoff(slack_platform)
        deliver(slack_platform, at=at)
    assert [file["name"] for file in files(slack)] == ["settlement-2026-02-16-r1.xlsx"]


def test_a_day_whose_frozen_inputs_are_gone_is_told_of_all_the_same(
    slack_platform: Platform, slack: Sink, tmp_path: Path
) -> None:
    settle(slack_platform, stop_after="prove")
    slack_platform.monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "empty"))
    with slack_platform.services() as services:
        said = report.report(services, stage_day("2026-02-16"), now=slack_platform.at("2026-02-17T06:00+09:00"))
    assert said["state"] in ("settled", "settled_with_breaks")
    assert files(slack) == []
    assert slack_platform.rows("select count(*) from ledger.alert_outbox where event = 'day.completed'") == [(1,)]
