"""What people are told of a day, read from the outbox: backfills, unknown payouts, inputs, controls."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from settlement import wiring
from settlement.adapters.ledger.unit_of_work import NotifyingLedger
from settlement.cli import app
from settlement.domain.bank.messages import Message
from settlement.domain.errors import NotYet
from settlement.ports.days import TaskFailure
from settlement.stages import extract, gate, notify, prove, reconcile, take_in, watch
from typer.testing import CliRunner

from .conftest import Platform, stage_day
from .payout_stories import MORNING, NEXT, NEXT_MORNING, ON, misbehaving, settle, settle_next, worked_day
from .test_reconcile import line, statement

UNKNOWN_AND_OVER = [("payouts.unknown", "day:2026-02-16"), ("resolved", "day:2026-02-16")]


def told(platform: Platform, *events: str) -> list[tuple[str, str]]:
    """Return the events of these names that people were told, with their threads, in order."""
    return platform.rows(
        "select event, thread from ledger.alert_outbox join ledger.alert_roots using (root_id)"
        " where event = any(:events) order by alert_id",
        events=list(events),
    )


def fields(platform: Platform, event: str) -> dict[str, Any]:
    """Return the fields of the newest event of this name."""
    found = platform.rows(
        "select value -> 'fields' from ledger.alert_outbox, jsonb_each(payload)"
        " where value ->> 'event' = :event order by alert_id desc limit 1",
        event=event,
    )
    return dict(found[0][0])


def end(platform: Platform, backfill_id: str, *left: str, at: str = NEXT_MORNING) -> bool:
    with platform.services() as services:
        return notify.end_backfill(services, backfill_id, left=left, now=platform.at(at))


# ---------------------------------------------------------------------------------------------------- backfills


def test_the_days_of_a_backfill_are_told_in_one_thread_which_ends_with_what_they_came_to(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, run_id="backfill__16", run_type="backfill")
    with platform.services() as services:
        now = datetime.fromisoformat(NEXT_MORNING)
        request = TaskFailure(settlement_date=date(2026, 2, 19), run_id="backfill__19", run_type="backfill", error="x")
        assert notify.task_failed(services, request, now=now)
    assert told(platform, "day.completed", "task.failed") == [
        ("day.completed", "backfill:1"),
        ("task.failed", "backfill:1"),
    ]
    assert platform.rows("select severity from ledger.alert_outbox where event = 'task.failed'") == [("warning",)]
    # Airflow has the run of the 19th still to end, and the run of the 16th, of which the books know that it has ended.
    assert not end(platform, "1", "backfill__16", "backfill__19")
    settle_next(platform, run_id="backfill__19", run_type="backfill")
    assert end(platform, "1", "backfill__16")
    summary = fields(platform, "backfill.summary")
    assert (summary["ok_count"], summary["changed_count"], summary["failed_count"]) == (2, 0, 0)
    assert summary["difference_paid"] == [{"amount": 88050, "currency": "KRW"}]
    # The next one is another backfill; it shows the day that was settled already, and paid nothing.
    again = platform.settle(ON, at=NEXT_MORNING, run_id="backfill__16", run_type="backfill")
    assert again["report"]["already_settled"] is True
    assert end(platform, "2")
    assert told(platform, "backfill.summary")[-1:] == [("backfill.summary", "backfill:2")]
    assert fields(platform, "backfill.summary")["difference_paid"] == []
    assert platform.rows("select distinct jsonb_object_keys(payload) from ledger.alert_outbox"
                         " where dedupe_key = 'backfill:2' order by 1") == [
        ("2026-02-16/day.completed",), ("backfill.summary",)
    ]  # fmt: skip
    assert told(platform, "day.started", "day.progress") == [], "no thread of a date's own"


def test_a_run_of_a_backfill_that_failed_ends_it_and_one_that_nobody_heard_end_is_ended_by_the_watch(
    platform: Platform,
) -> None:
    worked_day(platform)
    settle(platform, run_id="backfill__16", run_type="backfill", stop_after="distribute")
    failed = TaskFailure(
        settlement_date=date(2026, 2, 16), run_id="backfill__16", run_type="backfill", error="timed_out"
    )
    with platform.services() as services:
        notify.run_failed(services, failed, now=datetime.fromisoformat(MORNING))
    assert fields(platform, "backfill.summary")["failed_count"] == 1
    settle(platform, run_id="backfill__16", run_type="backfill", stop_after="distribute")
    with platform.services() as services:
        watch.look(services, now=platform.at("2026-02-18T05:00+09:00"))
        assert told(platform, "backfill.summary") == [("backfill.summary", "backfill:1")]
        watch.look(services, now=platform.at("2026-02-18T07:00+09:00"))
    assert told(platform, "backfill.summary")[1:] == [("backfill.summary", "backfill:2")]


# ------------------------------------------------------------------------------------------------------ payouts


def test_unknown_payouts_are_over_when_the_inquiry_answers_for_the_last_of_them(platform: Platform) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    assert told(platform, "payouts.unknown", "resolved") == UNKNOWN_AND_OVER[:1]
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-17T06:42+09:00"))
    assert told(platform, "payouts.unknown", "resolved") == UNKNOWN_AND_OVER
    assert fields(platform, "resolved")["after_minutes"] == 42


def test_the_controls_of_a_completed_day_are_those_that_ran(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    completed = fields(platform, "day.completed")
    assert (completed["controls_passed"], completed["controls_total"]) == (9, 9)
    assert completed["payouts"][0]["in_transit_amount"] == 88050
    with platform.services() as services, services.ledger.books() as books:
        books.days.note_controls(date(2026, 2, 16), ["suspense_is_explained"], is_held=False, now=platform.at(MORNING))
        assert sum(books.days.controls_of(date(2026, 2, 16)).values()) == 8


def test_the_terminal_says_what_slack_says_and_both_change_when_the_day_is_closed(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    said = CliRunner().invoke(app, ["status", ON, "--lang", "en"])
    assert said.exit_code == 0
    assert "Settlement of 2026-02-16 (Mon) · settled with breaks" in said.stdout
    assert "Extract repayments · done, 1 rows" in said.stdout
    assert "In transit: 3, ₩88,050" in said.stdout and "Received | ₩95,000" in said.stdout
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))
    completed = fields(platform, "day.completed")
    assert (completed["state"], completed["payouts"][0]["paid_amount"]) == ("closed", 88050)
    assert "Paid: 3, ₩88,050" in CliRunner().invoke(app, ["status", ON, "--lang", "en"]).stdout
    korean = CliRunner().invoke(app, ["status"]).stdout
    assert korean.startswith("🟠 2026-02-16 (월) 정산 · 마감")
    absent = CliRunner().invoke(app, ["status", "2026-02-24", "--lang", "en"])
    assert absent.exit_code == 1
    assert absent.stdout.splitlines()[0] == "⚪ Settlement of 2026-02-24 (Tue) · not started"


def test_a_payout_that_the_bank_has_booked_twice_is_critical(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    with platform.services() as services:
        now = platform.at("2026-02-20T06:00+09:00")
        reconcile.take_in_everything(services, now=now)
        twice, closing = platform.rows(
            "select p.end_to_end_id, (select closing from ledger.statements order by position desc limit 1)"
            " from ledger.payouts p where payee_id = 'A' and state = 'booked'"
        )[0]
        said = statement(20, closing, line(-43790, on=date(2026, 2, 20), end_to_end_id=twice))
        with services.ledger.books() as books:
            books.bank_lines.keep_message(Message.of(b"twice", kind="camt.053"), direction="in", now=now)
        take_in.apply_new(replace(services, read_message=lambda message: (said,)), now=now)
        prove.prove_books(services, as_of=date(2026, 2, 20), now=now)
    opened = fields(platform, "breaks.opened")
    assert (opened["doubled_payout_count"], opened["missing_payout_count"]) == (1, 0)
    assert platform.rows(
        "select severity from ledger.alert_outbox where event = 'breaks.opened' order by alert_id desc limit 1"
    ) == [("critical",)]


# ------------------------------------------------------------------------------------------------------- inputs


def test_a_statement_is_late_an_hour_before_the_run_stops_waiting_for_it(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="distribute")
    silent_bank: Any = SimpleNamespace(fetch=list)
    with platform.services() as services:
        day = stage_day(ON)
        silent = replace(services, bank=silent_bank, is_now_set=False)
        for clock, expected in (("08:59", []), ("09:00", ["input.late"]), ("09:05", ["input.late"])):
            with pytest.raises(NotYet):
                gate.wait_for_statement(silent, day, now=datetime.fromisoformat(f"2026-02-17T{clock}+09:00"))
            assert [event for event, _ in told(platform, "input.late")] == expected
        assert fields(platform, "input.late")["expected_at"] == "2026-02-17T10:00:00+09:00"
        gate.wait_for_statement(services, day, now=datetime.fromisoformat("2026-02-17T09:10+09:00"))
    assert [event for event, _ in told(platform, "input.late", "resolved")] == ["input.late", "resolved"]


def test_a_repayment_that_changed_after_its_day_was_settled_is_told_in_that_days_thread(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, run_id="backfill__16", run_type="backfill")
    assert end(platform, "1", at=MORNING)
    platform.source("update core.repayments set amount = 94000 where repayment_id = 'R1'")
    settle_next(platform, stop_after="freeze_inputs")
    assert told(platform, "day.completed", "input.changed") == [
        ("day.completed", "day:2026-02-16"),
        ("input.changed", "day:2026-02-16"),
    ]
    changed = fields(platform, "input.changed")
    assert (changed["source"], changed["change"], changed["count"]) == ("lending_core", "changed", 1)
    assert changed["amounts"] == [{"amount": 95000, "currency": "KRW"}]
    platform.source("update core.repayments set amount = 95000 where repayment_id = 'R1'")
    platform.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-20", stop_after="freeze_inputs")
    assert told(platform, "resolved") == [("resolved", "day:2026-02-16")]


def test_a_day_without_a_repayment_after_days_that_had_some_is_told_of(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "USUALLY", 1)
    worked_day(platform)
    settle(platform)
    settle_next(platform, stop_after="freeze_inputs")
    assert told(platform, "input.late") == [("input.late", f"day:{NEXT}")]
    assert fields(platform, "input.late")["source"] == "lending_core"
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 12:00+09', 500, 'REF-R9')"
    )
    settle_next(platform, run_id="run-again", stop_after="freeze_inputs")
    assert told(platform, "resolved") == [("resolved", f"day:{NEXT}")]


# ------------------------------------------------------------------------------------------------- refused runs

SUNDAY = TaskFailure(
    settlement_date=date(2026, 2, 15),
    run_id="manual__sunday",
    task_id="extract.open_day",
    try_number=1,
    error="RequestRefused: [2026-02-15] cannot be settled: it is a Sunday",
    is_refused=True,
    asked_by="maker",
)


@pytest.mark.parametrize("severities", [(), ("critical",)])
def test_a_refused_run_is_told_once_to_nobody_who_is_on_call(platform: Platform, severities: tuple[str, ...]) -> None:
    now = datetime.fromisoformat(MORNING)
    with platform.services() as opened:
        (channel,) = opened.policy.alerts.channels
        heard = channel.model_copy(update={"severities": severities or channel.severities})
        alerts = opened.policy.alerts.model_copy(update={"channels": (heard,)})
        services = replace(opened, ledger=NotifyingLedger(wiring.settlement_engine(), alerts=alerts))  # type: ignore[arg-type]  # what telling needs of it
        assert notify.task_failed(services, SUNDAY, now=now)
        died = replace(SUNDAY, error="the process died", is_refused=False)
        assert not notify.run_failed(services, died, now=now)  # the run's own callback knows less
        assert not notify.task_failed(services, SUNDAY, now=now)
    rows = platform.rows(
        "select event, severity, kind, state, payload -> 'run.refused' -> 'fields' from ledger.alert_outbox"
    )
    ((event, severity, kind, state, said),) = rows
    assert (event, severity, kind, state == "suppressed") == ("run.refused", "info", "root", bool(severities))
    assert (said["error"], said["asked_by"]) == ("[2026-02-15] cannot be settled: it is a Sunday", "maker")


def test_a_run_that_nobody_triggered_is_missed_when_it_is_refused(platform: Platform) -> None:
    with platform.services() as services:
        refused = replace(SUNDAY, run_id="scheduled__16", run_type="scheduled", asked_by=None)
        notify.task_failed(services, refused, now=datetime.fromisoformat(MORNING))
    assert platform.rows("select event, severity from ledger.alert_outbox") == [("run.refused", "warning")]


def test_a_failure_after_a_refusal_is_told_like_any_other(platform: Platform) -> None:
    with platform.services() as services:
        now = datetime.fromisoformat(MORNING)
        notify.task_failed(services, SUNDAY, now=now)
        later = replace(SUNDAY, task_id="transfer.submit", try_number=2, error="Unavailable: no bank", is_refused=False)
        assert notify.run_failed(services, later, now=now)
    assert [row[0] for row in told(platform, "task.failed")] == ["task.failed"]


# --------------------------------------------------------------------------------------------- causes and figures


def failure_at(task_id: str, error: str, *, run_id: str = "run-1", try_number: int = 1) -> TaskFailure:
    return TaskFailure(
        settlement_date=date(2026, 2, 16), run_id=run_id, task_id=task_id, try_number=try_number, error=error
    )


def test_the_cause_that_a_task_named_is_not_overwritten_by_what_its_runs_callback_knows(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="distribute")
    named = failure_at("transfer.take_in", "Refused: the statement of 2026-02-16 has not come")
    with platform.services() as services:
        now = datetime.fromisoformat(MORNING)
        notify.task_failed(services, named, now=now)
        notify.run_failed(services, replace(named, error="the process died"), now=now)
        assert shown(ON)["failure"] == "transfer.take_in: Refused: the statement of 2026-02-16 has not come"
        # The task is cleared, and this time nobody heard it die: that is its newest cause.
        notify.run_failed(services, replace(named, error="the process died", try_number=2), now=now)
    assert shown(ON)["failure"] == "transfer.take_in: the process died"
    with platform.services() as services:
        watch.look(services, now=platform.at("2026-02-17T12:01+09:00"))
    missed = fields(platform, "deadline.missed")
    assert (missed["step"], missed["waits_for"]) == ("transfer", "person")
    assert platform.rows("select outcome from ledger.runs") == [("failed: the process died",)]


def test_a_run_of_no_date_that_failed_says_what_the_bank_has_of_all_dates(platform: Platform) -> None:
    worked_day(platform)
    undated = TaskFailure(
        settlement_date=None,
        run_id="quarter-1",
        task_id="take_in_everything",
        try_number=2,
        error="Unavailable: no bank",
    )
    with platform.services() as services:
        now = datetime.fromisoformat(MORNING)
        notify.task_failed(services, undated, now=now)
        assert fields(platform, "task.failed")["money"] == {"state": "at_rest", "count": 0, "amounts": []}
        settle(platform)
        notify.task_failed(services, replace(undated, run_id="quarter-2"), now=now)
    assert fields(platform, "task.failed")["money"] == {
        "state": "sent",
        "count": 3,
        "amounts": [{"amount": 88050, "currency": "KRW"}],
    }


def test_payouts_that_nobody_has_approved_are_not_at_the_bank(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="prepare")
    said = CliRunner().invoke(app, ["status", ON, "--lang", "en"]).stdout
    assert "Not sent yet: 3, ₩88,050" in said
    assert "In transit" not in said


def test_the_figures_of_a_past_date_are_not_those_of_today(platform: Platform) -> None:
    worked_day(platform)
    platform.source("update core.investors set status = 'frozen' where investor_id = 'A'")
    settle(platform)
    assert "Held: 1, ₩43,790" in CliRunner().invoke(app, ["status", ON, "--lang", "en"]).stdout
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        " ('R2', 'L1', '2026-02-19 11:00+09', 95000, 'REF-R2')"
    )
    settle_next(platform)
    today, past = (CliRunner().invoke(app, ["status", on, "--lang", "en"]).stdout for on in (NEXT, ON))
    assert "Held: 1, ₩43,790" in today
    assert "Held" not in past
    assert {found["opened_on"] for found in shown(NEXT)["breaks"]} == {ON, NEXT}
    assert {found["opened_on"] for found in shown(ON)["breaks"]} == {ON}


def shown(on: str) -> dict[str, Any]:
    """Return what `settlement status` says of a date as JSON."""
    return dict(json.loads(CliRunner().invoke(app, ["status", on, "--json"]).stdout))


# ------------------------------------------------------------------------------------------------------- go-live


def test_instalments_paid_before_the_first_date_are_warned_of_while_no_opening_exists(platform: Platform) -> None:
    worked_day(platform)
    platform.source(
        "insert into core.repayments"
        " (repayment_id, loan_id, received_at, amount, bank_reference, reverses_repayment_id) values"
        " ('OLD-1', 'L1', '2026-01-12 11:00+09', 95000, 'REF-O1', null),"
        " ('OLD-2', 'L1', '2026-01-13 11:00+09', 30000, 'REF-O2', null),"
        " ('OLD-3', 'L1', '2026-01-14 11:00+09', 30000, 'REF-O2', 'OLD-2')"
    )
    said = settle(platform, stop_after="freeze_inputs")
    assert said["freeze_inputs"]["receipts_before_the_first_date"] == 1
    assert told(platform, "opening.absent") == [("opening.absent", "day:2026-02-16")]
    warned = fields(platform, "opening.absent")
    assert (warned["first_date"], warned["loan_count"], warned["receipt_count"]) == ("2026-02-16", 1, 1)
    assert warned["amounts"] == [{"amount": 95000, "currency": "KRW"}]


def test_what_a_loan_paid_on_an_earlier_settled_date_is_no_reason_for_a_warning(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        " ('R2', 'L1', '2026-02-19 11:00+09', 95000, 'REF-R2')"
    )
    said = settle_next(platform, stop_after="freeze_inputs")
    assert "receipts_before_the_first_date" not in said["freeze_inputs"]
    assert told(platform, "opening.absent") == []
