"""When a payment file goes out a second time, and when a person asks the bank instead: only a known duplicate check and
business time decide.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from settlement import wiring
from settlement.cli import app
from settlement.domain.errors import MissingConnection, Unavailable
from settlement.stages import inquire, submit
from settlement_lab.servers import bank as demo_bank
from typer.testing import CliRunner

from .conftest import Platform, stage_day
from .payout_stories import MORNING, OWED, file_of, misbehaving, over_folders, owed, settle, states, worked_day
from .test_telling import fields, told
from .test_transfer_bank import bank_again

MockBank = Callable[..., demo_bank.Bank]


def test_a_file_taken_out_of_the_folder_is_not_dropped_again_where_nobody_knows_that_its_bank_would_refuse_it(
    platform: Platform, mock_bank: MockBank, tmp_path: Path
) -> None:
    drop, _ = over_folders(platform, mock_bank, tmp_path)
    worked_day(platform)
    settle(platform)
    (dropped,) = drop.glob("*.xml")
    dropped.unlink()
    assert [state for *_, state in states(platform)] == ["submitted"] * 3
    for closed in ("2026-02-17T12:00+09:00", "2026-02-18T12:00+09:00"):  # holidays before the execution date
        bank_again(platform, closed)
    bank_again(platform, "2026-02-20T09:59+09:00")
    assert [state for *_, state in states(platform)] == ["submitted"] * 3
    assert told(platform, "payouts.unknown") == []
    bank_again(platform, "2026-02-20T10:00+09:00")
    bank_again(platform, "2026-02-20T10:15+09:00")
    platform.settle("2026-02-16", at="2026-02-20T11:00+09:00")  # cleared and run again
    assert list(drop.glob("*.xml")) == []
    assert platform.rows("select number, outcome from ledger.transmissions") == [(1, "received")]
    assert [state for *_, state in states(platform)] == ["unknown"] * 3
    assert told(platform, "payouts.unknown") == [("payouts.unknown", "day:2026-02-16")]
    said = fields(platform, "payouts.unknown")
    assert (said["count"], said["amounts"]) == (3, [{"amount": 88050, "currency": "KRW"}])
    assert (said["inquiry_at"], said["ask_about"]) == (None, [file_of(platform)])
    answered = CliRunner().invoke(
        app, ["unknown", "--absent", file_of(platform), "--by", "ops", "--reason", "the bank has nothing of it"]
    )
    assert (answered.exit_code, owed(platform)) == (0, OWED)


def test_a_file_taken_out_of_the_folder_is_dropped_again_where_its_bank_refuses_what_it_has(
    platform: Platform, mock_bank: MockBank, tmp_path: Path
) -> None:
    drop, _ = over_folders(platform, mock_bank, tmp_path, duplicate_check=True)
    worked_day(platform)
    settle(platform)
    (dropped,) = drop.glob("*.xml")
    content = dropped.read_bytes()
    dropped.unlink()
    bank_again(platform, "2026-02-18T12:00+09:00")
    assert list(drop.glob("*.xml")) == []
    bank_again(platform, "2026-02-20T10:00+09:00")
    assert dropped.read_bytes() == content
    assert fields(platform, "payouts.unknown")["inquiry_at"] == "2026-02-20T10:00:00+09:00"
    assert fields(platform, "payouts.unknown")["ask_about"] == []


def test_an_answer_that_was_lost_is_asked_of_a_person_where_no_duplicate_check_is_known(platform: Platform) -> None:
    worked_day(platform)
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", without_duplicate_check(platform))
    with misbehaving(platform, "drop_before"):
        settle(platform)
    assert (fields(platform, "payouts.unknown")["inquiry_at"], fields(platform, "payouts.unknown")["ask_about"]) == (
        None,
        [file_of(platform)],
    )
    bank_again(platform, "2026-02-17T06:20+09:00")
    platform.settle("2026-02-16", at="2026-02-17T06:30+09:00")  # cleared and run again
    bank_again(platform, "2026-02-20T10:00+09:00")
    assert platform.rows("select number, outcome from ledger.transmissions") == [(1, "unknown")]
    assert platform.bank.payments() == []


def test_what_is_proven_not_to_have_left_goes_out_without_any_duplicate_check(platform: Platform) -> None:
    worked_day(platform)
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", without_duplicate_check(platform))
    settle(platform, stop_after="approval")
    with misbehaving(platform) as proxy:
        proxy.close()
        with platform.services() as services, pytest.raises(Unavailable, match="could not be reached"):
            submit.submit(services, stage_day("2026-02-16"), now=platform.at(MORNING))
    settle(platform)
    assert platform.rows("select number, outcome from ledger.transmissions order by 1") == [
        (1, "not_sent"),
        (2, "received"),
    ]
    assert [state for *_, state in states(platform)] == ["accepted"] * 3


def test_an_inquiry_is_told_for_when_it_is_made(platform: Platform) -> None:
    worked_day(platform)
    platform.bank.change_account("PLATFORM", behaviour="silent")
    settle(platform)  # the bank took the file, and is given a business day: Thursday, after two holidays
    assert fields(platform, "payouts.unknown")["inquiry_at"] == "2026-02-20T10:00:00+09:00"
    with platform.services() as services:
        assert inquire.inquire(services, now=datetime.fromisoformat("2026-02-20T09:59+09:00")) == {}


def test_a_duplicate_check_is_declared_by_true_or_false(platform: Platform) -> None:
    platform.monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", without_duplicate_check(platform, said="yes"))
    with pytest.raises(MissingConnection, match=r"duplicate_check in its extra is \[yes\]"):
        wiring.bank_channel()


def without_duplicate_check(platform: Platform, *, said: object = False) -> str:
    """Return the platform's connection to its bank, as one that declares another duplicate check."""
    host, port = platform.bank.url.removeprefix("http://").split(":")
    named = {
        "debtor_account": demo_bank.DEBTOR_ACCOUNT,
        "debtor_name": demo_bank.DEBTOR_NAME,
        "debtor_agent": demo_bank.DEBTOR_AGENT,
        "currency": "KRW",
        "duplicate_check": said,
    }
    return json.dumps({"conn_type": "http", "host": host, "port": int(port), "extra": named})
