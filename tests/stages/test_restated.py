"""What people are told when a settled date is settled again, and when a dry run finds that it would be."""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

import pytest
from settlement import cli
from settlement.domain import controls
from settlement.domain.errors import Broken, BrokenInvariant, Refused
from settlement.ports.days import RunRequest
from settlement.stages import compute, open_day, report, restate
from settlement_lab.slack.sink import Sink

from .conftest import Platform
from .payout_stories import NEXT, NEXT_MORNING, ON, settle, worked_day
from .test_day_report import deliver, use_slack
from .test_settled_again import AGAIN, DAY, everything, interest_is
from .test_telling import fields


def restatements(platform: Platform) -> list[tuple[Any, ...]]:
    """Return every alert of a restatement: its key, how loud it is, and the thread that it stands in."""
    return platform.rows(
        "select dedupe_key, severity, thread from ledger.alert_outbox join ledger.alert_roots using (root_id)"
        " where event = 'day.restated' order by alert_id"
    )


def replies(slack: Sink) -> list[str]:
    """Return what stands below the day's message in Slack."""
    return [
        reply["text"]
        for channel in slack.store.channels()
        for _, thread in slack.conversation(channel)
        for reply in thread
    ]


def dry(platform: Platform) -> dict[str, Any]:
    """Run the settled date again as a dry run; return its report."""
    with platform.services() as services:
        now = platform.at(AGAIN)
        day = open_day.open_day(services, RunRequest(settlement_date=DAY, run_id="run-dry", dry_run=True), now=now)
        return report.report(services, day, computed=compute.distribute(services, day, now=now), now=now)


def test_a_restatement_is_told_once_in_its_days_thread_with_what_changed_and_why(
    platform: Platform, slack: Sink
) -> None:
    use_slack(platform, slack.base_url)
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)
    platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 12 000", triggered_by="maker")
    platform.settle(ON, at=AGAIN, run_id="run-3", reason="once more", triggered_by="maker")

    assert restatements(platform) == [("2026-02-16:restated:run-2:2026-02-16:2", "info", "day:2026-02-16")]
    assert fields(platform, "day.restated") == {
        "settlement_date": "2026-02-16",
        "backfill_id": None,
        "run_id": "run-2",
        "dates": [{"settlement_date": "2026-02-16", "revision": 2}],
        "why": "interest was 12 000",
        "asked_by": "maker",
        "loan_count": 1,
        "loans": ["L1"],
        "difference": [{"amount": 1615, "currency": "KRW"}],
        "taken_back": [],
    }
    deliver(platform, at="2026-02-17T09:05+09:00")
    assert [text for text in replies(slack) if "Settled dates" in text] == [
        "🔵 2026-02-16 정산이 끝난 날짜를 다시 정산했습니다: 투자자 차액 ₩1,615"
        " / Settled dates have changed: ₩1,615 for investors"
    ]


def test_a_restatement_that_takes_back_what_was_paid_is_a_warning_once_it_is_approved(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 8_000)
    with pytest.raises(Refused, match="needs a second person's approval"):
        platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 8 000", triggered_by="maker")
    assert restatements(platform) == []

    platform.monkeypatch.setenv("SETTLEMENT_NOW", AGAIN)
    said = ["settlement", "restate", ON, "--approve", "--by", "checker", "--lang", "en"]
    platform.monkeypatch.setattr(sys, "argv", said)
    with pytest.raises(SystemExit):
        cli.main()
    assert "and 1,603 KRW that was paid out is taken back" in capsys.readouterr().out
    platform.settle(ON, at=AGAIN, run_id="run-3", reason="interest was 8 000", triggered_by="maker")
    assert restatements(platform) == [("2026-02-16:restated:run-3:2026-02-16:2", "warning", "day:2026-02-16")]
    told = fields(platform, "day.restated")
    assert told["difference"] == [{"amount": -1603, "currency": "KRW"}]
    assert told["taken_back"] == [{"amount": 1603, "currency": "KRW"}]


def test_a_date_that_is_settled_late_tells_in_its_own_thread_what_it_changed_of_the_later_one(
    platform: Platform,
) -> None:
    worked_day(platform)
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-19 10:00+09', 5000, 'REF-R2')"
    )
    platform.bank.receive(reference="REF-R2", amount=5000, on=date(2026, 2, 19), payer="홍길동")
    platform.settle(NEXT, at=NEXT_MORNING, run_id="run-1", stop_after="distribute")
    platform.settle(ON, at=NEXT_MORNING, run_id="run-2", reason="it was passed over", stop_after="distribute")
    assert restatements(platform) == [("2026-02-16:restated:run-2:2026-02-19:2", "info", "day:2026-02-16")]
    assert fields(platform, "day.restated")["dates"] == [{"settlement_date": "2026-02-19", "revision": 2}]


def test_a_dry_run_tells_which_settled_dates_would_change_and_nothing_is_told_as_done(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 8_000)
    assert dry(platform)["is_settled"] is False
    told = fields(platform, "day.dry_run")
    assert told["finding"] == "would_restate"
    assert told["dates"] == [{"settlement_date": "2026-02-16", "revision": 2}]
    assert told["difference"] == [{"amount": -1603, "currency": "KRW"}]
    assert told["taken_back"] == [{"amount": 1603, "currency": "KRW"}]
    assert restatements(platform) == []


def test_a_dry_run_after_a_change_that_moves_nothing_says_that_the_date_is_settled(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    platform.source("update core.receivables set due_on = due_on - 1 where receivable_id = 'L1-1-I'")
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        assert restate.loans_changed(services, books, DAY) == ["L1"]
    assert dry(platform)["is_settled"] is True
    assert fields(platform, "day.dry_run")["finding"] == "is_settled"


@pytest.mark.parametrize(
    ("failure", "control"),
    [
        (Broken("entries_balance", "an entry sums to [1 KRW]"), "entries_balance"),
        (BrokenInvariant("Shares do not sum to their allocations: the day stops"), "arithmetic"),
    ],
)
def test_a_control_that_stops_a_restatement_says_that_the_former_revision_stands(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, failure: Exception, control: str
) -> None:
    def broken(outcome: Any) -> None:
        raise failure

    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)
    same = everything(platform)
    monkeypatch.setattr(controls, "check_outcome", broken)
    with pytest.raises(Refused, match=r"Revision \[1\] of \[2026-02-16\] stands as it was$"):
        platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 12 000", triggered_by="maker")
    told = fields(platform, "control.broken")
    assert (told["control"], told["stands"]) == (control, 1)
    assert everything(platform) == same
