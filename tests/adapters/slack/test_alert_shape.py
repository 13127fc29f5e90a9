"""Threads, groups, reminders, resolutions, backfills, e-mail: what people see over time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from settlement.domain.alerts.day import BackfillSummary, DayProgress, DayStarted, PayoutTotals, Step, StepState
from settlement.domain.alerts.event import AlertState, Money, Severity
from settlement.domain.alerts.payouts import ApprovalDone, ApprovalNeeded, PayoutsRejected, PayoutsUnknown
from settlement.domain.alerts.task import RunRefused, TaskFailed
from settlement.domain.alerts.watch import Heartbeat, Resolved

from .alert_desk import CHANNEL, DAY, NOON, Desk, completed, failed, text_of

KRW = (Money(amount=88_050, currency="KRW"),)
WITH_A_CHANNEL_FOR_THE_PAST = """
name = "test"
[alerts]
language = "en"
mention = "S0ONCALL"
[[alerts.channels]]
id = "C0SETTLE"
[[alerts.channels]]
id = "C0PAST"
backfills = true
"""


def shards(*indexes: int, code: str = "Unavailable") -> list[TaskFailed]:
    return [failed("compute.distribute", map_index=index, code=code) for index in indexes]


def test_five_failures_of_one_kind_are_one_message_with_a_table(desk: Desk) -> None:
    for event in shards(0, 1, 2, 3, 4):
        desk.record(event)
    desk.deliver()
    _, replies = desk.thread()
    assert len(replies) == 1
    assert "5 failures of the same kind" in text_of(replies[0])
    table = next(block for block in replies[0]["blocks"] if block["type"] == "table")
    assert [row[1]["text"] for row in table["rows"]] == ["map_index", "0", "1", "2", "3", "4"]
    assert {row.state for row in desk.rows()} == {"delivered"}


def test_a_failure_that_comes_later_joins_the_message_of_its_kind(desk: Desk) -> None:
    desk.tell(shards(0)[0])
    for event in shards(1, 2):
        desk.record(event)
    report = desk.deliver()
    _, replies = desk.thread()
    assert len(replies) == 1 and report.posted == 0
    assert "3 failures of the same kind" in text_of(replies[0])
    desk.tell(shards(3, code="Refused")[0])
    assert len(desk.thread()[1]) == 2


def test_a_group_whose_answer_was_lost_is_not_doubled(desk: Desk) -> None:
    desk.tell(completed())
    for event in shards(0, 1):
        desk.record(event)
    desk.fail({"how": "lost_answer", "method": "chat.postMessage"})
    desk.deliver()
    desk.record(shards(2)[0])
    desk.end_backoff()
    desk.deliver()
    desk.deliver()
    _, replies = desk.thread()
    assert len(replies) == 1
    assert "3 failures of the same kind" in text_of(replies[0])
    assert {row.state for row in desk.rows()} == {"delivered"}


def test_a_run_that_failed_is_mute_behind_its_failed_task(desk: Desk) -> None:
    desk.tell(failed())
    assert not desk.record(failed(task="", try_number=0, code="task_failure"))
    assert desk.deliver().posted == 0
    assert [row.state for row in desk.rows()] == ["delivered", "delivered", "suppressed"]


def test_a_run_told_of_first_says_which_task_it_was_once_that_is_known(desk: Desk) -> None:
    desk.tell(failed(task="", try_number=0, code="task_failure"))
    desk.tell(failed())
    assert not desk.record(failed())
    desk.tell(failed("reconcile.match"))
    _, (first, second) = desk.thread()
    assert "transfer.submit" in first["text"] and "reconcile.match" in second["text"]
    assert [row.state for row in desk.rows()] == ["delivered", "delivered", "suppressed", "delivered"]


def test_a_run_without_a_settlement_date_is_one_message_too(desk: Desk) -> None:
    desk.tell(failed(settlement_date=None))
    desk.record(failed(settlement_date=None, task="", try_number=0, code="task_failure"))
    desk.deliver()
    assert desk.shown_keys() == ["failed:scheduled__2026-02-17:transfer.submit:-1:1"]


def test_a_problem_that_ends_turns_green_and_says_how_long_it_took(desk: Desk) -> None:
    desk.tell(PayoutsUnknown(settlement_date=DAY, count=3, amounts=KRW))
    desk.pass_time(minutes=42)
    assert desk.record(Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown"))
    desk.deliver()
    _, (problem, resolution) = desk.thread()
    assert problem["text"].startswith("✅") and "resolved after 42 min" in text_of(problem)
    assert "after 42 min" in resolution["text"]
    assert desk.shown_keys()[1:] == ["2026-02-16:unknown", "2026-02-16:resolved:unknown"]
    assert not desk.record(Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown"))


def test_payouts_that_become_unknown_after_the_former_were_answered_are_news_again(desk: Desk) -> None:
    over = Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown")
    desk.tell(PayoutsUnknown(settlement_date=DAY, count=3, amounts=KRW))
    assert not desk.record(PayoutsUnknown(settlement_date=DAY, count=3, amounts=KRW))
    desk.tell(over)
    desk.tell(PayoutsUnknown(settlement_date=DAY, count=1, amounts=KRW))
    root, replies = desk.thread()
    assert root["text"].startswith("🔴")
    assert [reply["text"][0] for reply in replies] == ["✅", "✅", "🔴"]
    desk.tell(over)
    root, replies = desk.thread()
    assert not root["text"].startswith("🔴")
    assert [reply["text"][0] for reply in replies] == ["✅"] * 4
    keys = ["unknown", "resolved:unknown", "unknown#2", "resolved:unknown#2"]
    assert desk.shown_keys()[1:] == [f"2026-02-16:{key}" for key in keys]


def test_what_was_never_told_is_not_resolved(desk: Desk) -> None:
    assert not desk.record(Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown"))
    assert desk.rows() == []


def test_a_completed_day_resolves_what_it_proves_to_be_over(desk: Desk) -> None:
    desk.tell(failed())
    desk.tell(PayoutsUnknown(settlement_date=DAY, count=3, amounts=KRW))
    assert desk.thread()[0]["text"].startswith("🔴")
    still_unknown = PayoutTotals(currency="KRW", unknown_count=3, unknown_amount=88_050)
    desk.tell(completed(payouts=(still_unknown,)))
    assert "1 critical alerts unresolved" in text_of(desk.thread()[0])
    desk.tell(completed())
    assert desk.thread()[0]["text"].startswith("🔴"), "that the day is complete answers for no payout"
    desk.tell(Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown"))
    root, replies = desk.thread()
    assert root["text"].startswith("🟢")
    assert [reply["text"][0] for reply in replies] == ["✅"] * 4


def test_an_unresolved_critical_is_repeated_every_half_hour_six_times(desk: Desk) -> None:
    desk.tell(failed())
    for _ in range(10):
        desk.pass_time(minutes=30, seconds=1)
        desk.deliver()
        desk.deliver()
    _, replies = desk.thread()
    assert len(replies) == 1 + 6
    assert "reminder 6 of 6" in text_of(replies[-1])
    assert replies[-1]["subtype"] == "thread_broadcast"


def test_a_critical_that_somebody_takes_on_is_repeated_no_more_and_its_end_is_told(desk: Desk) -> None:
    desk.tell(PayoutsUnknown(settlement_date=DAY, count=3, amounts=KRW))
    desk.pass_time(minutes=31)
    assert desk.deliver().repeated == 1
    reminder = desk.rows()[-1].alert_id
    assert desk.alerts.acknowledge(reminder, by="kim", now=desk.now)
    desk.pass_time(minutes=31)
    assert desk.deliver().repeated == 0
    _, replies = desk.thread()
    assert "Taken on: payouts without an answer, by kim" in text_of(replies[-1])
    assert desk.record(Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown"))
    assert not desk.alerts.acknowledge(reminder, by="kim", now=desk.now)


def test_what_is_taken_on_before_it_is_delivered_is_not_repeated_either(desk: Desk) -> None:
    assert desk.record(PayoutsUnknown(settlement_date=DAY, count=3, amounts=KRW))
    assert desk.alerts.acknowledge(desk.row("payouts.unknown").alert_id, by="kim", now=desk.now)
    desk.deliver()
    desk.pass_time(minutes=31)
    assert desk.deliver().repeated == 0


def test_what_is_not_critical_is_not_taken_on(desk: Desk) -> None:
    desk.tell(PayoutsRejected(settlement_date=DAY, code="AC04", count=1, amounts=KRW))
    assert not desk.alerts.acknowledge(desk.row("payouts.rejected").alert_id, by="kim", now=desk.now)


def test_a_refused_run_stands_alone_says_what_is_right_and_is_no_open_problem(desk: Desk) -> None:
    desk.tell(
        RunRefused(
            settlement_date=DAY, run_id="manual__1", try_number=1, asked_by="maker", error="[2026-02-15] is a Sunday"
        )
    )
    ((refused, replies),) = desk.sink.conversation(CHANNEL)
    said = text_of(refused)
    assert replies == []
    assert "[2026-02-15] is a Sunday" in said and "maker" in said
    assert "clear" not in said.lower() and "<!subteam" not in said
    desk.pass_time(hours=2)
    assert desk.deliver().repeated == 0


def test_a_resolved_critical_is_repeated_no_more(desk: Desk) -> None:
    desk.tell(failed())
    desk.tell(completed())
    desk.pass_time(hours=2)
    assert desk.deliver().repeated == 0


def test_an_approval_is_one_message_that_says_in_the_end_who_decided(desk: Desk) -> None:
    needed = ApprovalNeeded(settlement_date=DAY, batch="b1", count=3, amounts=KRW, limits=KRW, expires_at=NOON)
    desk.tell(needed)
    desk.tell(ApprovalDone(settlement_date=DAY, batch="b1", approved=True, by="checker", at=NOON))
    _, (message,) = desk.thread()
    assert "Payouts approved" in message["text"]
    assert "checker" in text_of(message) and "₩88,050" in text_of(message)


def test_a_backfill_has_one_root_with_a_row_per_day(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(WITH_A_CHANNEL_FOR_THE_PAST)
    days = [DAY - timedelta(days=3), DAY]
    for day in days:
        desk.tell(DayStarted(settlement_date=day, repayment_count=1, backfill_id="7"))
        desk.tell(completed(settlement_date=day, backfill_id="7"))
    desk.tell(failed(backfill_id="7"))
    desk.tell(
        BackfillSummary(
            settlement_date=None, backfill_id="7", ok_count=2, changed_count=1, failed_count=0, difference_paid=KRW
        )
    )
    assert desk.sink.conversation(CHANNEL) == []
    root, replies = desk.thread("C0PAST")
    table = next(block for block in root["blocks"] if block["type"] == "table")
    assert [row[0]["text"] for row in table["rows"]] == ["Date", "2026-02-13 (Fri)", "2026-02-16 (Mon)"]
    assert "2 days ok, 1 changed, 0 failed" in text_of(root)
    assert [reply["text"][0] for reply in replies] == ["🟠"]
    assert "S0ONCALL" not in text_of(root) + text_of(replies[0])


def test_a_day_that_failed_in_a_backfill_is_failed_in_its_row_until_it_runs_again(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk(WITH_A_CHANNEL_FOR_THE_PAST)
    desk.tell(DayStarted(settlement_date=DAY, repayment_count=1, backfill_id="7"))
    desk.tell(DayProgress(settlement_date=DAY, step=Step.TRANSFER, state=StepState.FAILED, at=NOON, backfill_id="7"))

    def row() -> list[str]:
        table = next(block for block in desk.thread("C0PAST")[0]["blocks"] if block["type"] == "table")
        return [cell["text"] for cell in table["rows"][1]]

    assert row() == ["2026-02-16 (Mon)", "failed", "–", "–", "–", "–"]
    desk.tell(DayProgress(settlement_date=DAY, step=Step.TRANSFER, state=StepState.DONE, at=NOON, backfill_id="7"))
    assert row()[1] == "running"


def test_a_backfill_resolves_what_the_date_told_in_its_own_thread_and_the_other_dates_keep_theirs(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk(WITH_A_CHANNEL_FOR_THE_PAST)
    friday = DAY - timedelta(days=3)
    desk.tell(failed())
    desk.tell(failed(settlement_date=friday, run_id="backfill__friday", backfill_id="7"))
    desk.tell(completed(backfill_id="7"))
    root, replies = desk.thread()
    assert root["text"].startswith("🟢 Settlement of 2026-02-16 (Mon) · settled")
    assert [reply["text"][0] for reply in replies] == ["✅", "✅"]
    _, replies = desk.thread("C0PAST")
    assert [reply["text"][0] for reply in replies] == ["🟠"], "Friday has failed still"


def test_only_the_critical_mentions_who_is_on_call(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(
        'name = "test"\n[alerts]\nlanguage = "en"\nmention = "S0ONCALL"\n[[alerts.channels]]\nid = "C0SETTLE"'
    )
    desk.tell(failed())
    desk.tell(PayoutsRejected(settlement_date=DAY, code="AC04", count=1, amounts=KRW))
    _, (critical, warning) = desk.thread()
    assert "<!subteam^S0ONCALL>" in text_of(critical)
    assert "S0ONCALL" not in text_of(warning)
    assert "subtype" not in warning


def test_the_sheets_of_the_day_go_into_its_thread_once(desk: Desk) -> None:
    desk.tell(completed())

    def attach() -> bool:
        with desk.engine.begin() as connection:
            return desk.outbox(connection).attach(
                settlement_date=DAY,
                key="sheets:1",
                name="2026-02-16.xlsx",
                title="2026-02-16",
                content=b"PK\x03\x04",
                now=desk.now,
            )

    assert attach()
    desk.fail({"how": "lost_answer", "method": "files.completeUploadExternal"})
    desk.deliver()
    desk.end_backoff()
    assert desk.deliver().found == 1
    assert not attach()
    _, (reply,) = desk.thread()
    assert reply["files"][0]["name"] == "2026-02-16.xlsx"
    assert desk.sink.store.content(reply["files"][0]["id"]) == ("2026-02-16.xlsx", b"PK\x03\x04")


@pytest.mark.parametrize("code", ["invalid_auth", "channel_not_found", "is_archived"])
def test_what_slack_will_never_take_goes_out_by_email(desk: Desk, code: str) -> None:
    desk.fail({"how": code, "times": 99})
    report = desk.tell(failed(error="boom"))
    assert (report.failed, report.mailed) == (2, 1)
    (mail,) = desk.mailbox.mails
    assert mail["to"] == ("ops@example.com",)
    assert "transfer.submit" in mail["body"] and code in mail["body"] and "boom" in mail["body"]
    assert (desk.row("task.failed").state, desk.row("task.failed").last_error) == ("failed", code)
    assert desk.deliver().mailed == 0
    assert desk.row("alerts.undelivered").state == "delivered"


def test_what_slack_refused_is_sent_after_all_when_a_person_asks(desk: Desk) -> None:
    desk.fail({"how": "invalid_auth", "times": 99})
    desk.tell(failed())
    desk.fail()
    assert desk.deliver().posted == 0
    assert desk.alerts.resend() == 2
    assert desk.deliver().posted == 2
    assert desk.shown_keys()[1].startswith("2026-02-16:failed:")


def test_without_email_a_mended_channel_gets_what_it_had_refused(desk: Desk) -> None:
    desk.alerts._find_mailer = lambda: None
    desk.fail({"how": "invalid_auth", "times": 99})
    desk.tell(failed())
    desk.fail()
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("update ledger.alert_attempts set attempted_at = attempted_at - interval '1 hour'")
    desk.deliver()
    assert len(desk.shown_keys()) == 2


def test_a_critical_that_slack_has_not_taken_in_five_minutes_is_mailed_once_and_still_delivered(desk: Desk) -> None:
    desk.fail({"how": "server_error", "times": 9999})
    desk.tell(failed())
    desk.pass_time(minutes=4)
    desk.deliver()
    assert desk.mailbox.mails == []
    desk.pass_time(minutes=2)
    desk.deliver()
    desk.deliver()
    (mail,) = desk.mailbox.mails
    assert mail["subject"] == ("🔴 1 critical alerts not delivered to Slack / Slack에 전달되지 못한 긴급 알림 1건")
    desk.fail()
    desk.end_backoff()
    desk.deliver()
    assert len(desk.shown_keys()) == 2


def test_a_mail_server_that_fails_leaves_everything_due(desk: Desk) -> None:
    class Broken:
        def send(self, **_: object) -> None:
            raise ConnectionRefusedError

    desk.alerts._find_mailer = lambda: Broken()
    desk.fail({"how": "invalid_auth", "times": 99})
    report = desk.tell(failed())
    assert (report.mailed, report.errors[-1]) == (0, "smtp:ConnectionRefusedError")
    desk.alerts._find_mailer = lambda: desk.mailbox
    assert desk.deliver().mailed == 1


def test_blocks_that_slack_refuses_go_out_as_plain_text(desk: Desk) -> None:
    desk.tell(completed())
    desk.fail({"how": "invalid_blocks", "method": "chat.postMessage"})
    desk.tell(failed())
    _, (reply,) = desk.thread()
    assert [block["type"] for block in reply["blocks"]] == ["section"]
    assert "transfer.submit" in text_of(reply)


def test_a_message_that_slack_refuses_holds_nothing_else_up(desk: Desk) -> None:
    desk.tell(completed())
    desk.fail({"how": "msg_too_long", "method": "chat.postMessage", "times": 2})
    desk.record(failed("a"))
    desk.record(failed("b"))
    desk.deliver()
    assert [key.split(":")[3] for key in desk.shown_keys()[1:]] == ["b"]
    assert desk.mailbox.mails[0]["body"].count("Settlement task failed") == 1


def test_a_slack_that_hangs_holds_a_writer_for_a_second_and_then_not_at_all(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(longest_call_seconds=2.0)
    desk.fail({"how": "hang", "times": 9999, "seconds": 3})
    desk.record(failed())
    report = desk.alerts.deliver(now=desk.now, limit_seconds=5)
    assert not report.is_complete  # the caller went on while the try beside it still hung
    time.sleep(4)  # that try ends
    begun = time.monotonic()
    for number in range(20):
        desk.record(failed(f"task_{number}"))
        desk.alerts.deliver(now=desk.now, limit_seconds=5)
    assert time.monotonic() - begun < 15  # held for a second each, they would take twenty
    desk.fail()


def test_a_writer_delivers_at_once_when_slack_is_well(desk: Desk) -> None:
    desk.record(failed())
    report = desk.alerts.deliver(now=desk.now, limit_seconds=5)
    assert (report.posted, report.is_complete) == (2, True)


def test_after_a_day_without_slack_everything_arrives_in_order(desk: Desk) -> None:
    desk.fail({"how": "server_error", "times": 9_999})
    begun = time.monotonic()
    for number in range(40):
        desk.record(failed(f"task_{number}") if number % 4 == 0 else completed(controls_passed=number))
        desk.alerts.deliver(now=desk.now, limit_seconds=5)
        desk.pass_time(minutes=30)
    assert time.monotonic() - begun < 35  # held for a second each, they would take forty
    desk.deliver()
    desk.fail()
    desk.end_backoff()
    desk.deliver()
    first_told = [key for key in desk.shown_keys() if ":again:" not in key]
    assert first_told[0] == "2026-02-16:summary"
    assert [key.split(":")[3] for key in first_told if ":failed:" in key and "resolved" not in key] == [
        f"task_{number}" for number in range(0, 40, 4)
    ]
    assert {row.state for row in desk.rows()} == {"delivered"}


def test_heartbeats_stand_alone(desk: Desk) -> None:
    desk.tell(Heartbeat(settlement_date=DAY, last_date=DAY, state="settled", next_run_at=NOON, queue_depth=0))
    root, replies = desk.thread()
    assert replies == [] and "Settlement watch is well" in root["text"]
    assert desk.shown_keys() == ["2026-02-16:heartbeat"]


def test_a_later_start_of_a_day_forgets_the_steps_of_the_former(desk: Desk) -> None:
    desk.tell(DayStarted(settlement_date=DAY, repayment_count=3))
    desk.tell(DayProgress(settlement_date=DAY, step=Step.EXTRACT, state=StepState.DONE, at=NOON, row_count=3))
    assert "Extract repayments" in text_of(desk.thread()[0])
    desk.tell(DayStarted(settlement_date=DAY, revision=2, repayment_count=4))
    shown = text_of(desk.thread()[0])
    assert "Extract repayments" not in shown and "Revision 2" in shown


def test_reporting_alerts_shows_events_and_no_placeholders(desk: Desk) -> None:
    desk.tell(failed())
    with desk.engine.connect() as connection:
        rows = connection.exec_driver_sql("select * from reporting.alerts").all()
    assert list(rows[0]._mapping) == [
        "alert_id",
        "settlement_date",
        "event",
        "severity",
        "channel",
        "dedupe_key",
        "state",
        "created_at",
        "delivered_at",
        "attempts",
        "last_error",
    ]
    assert [row.event for row in rows] == ["task.failed"]


def test_the_database_takes_the_states_and_severities_of_alerts_and_no_other(desk: Desk) -> None:
    with desk.engine.connect() as connection:
        said = " ".join(
            connection.exec_driver_sql(
                "select pg_get_constraintdef(oid) from pg_constraint"
                " where conrelid = 'ledger.alert_outbox'::regclass and contype = 'c'"
            ).scalars()
        )
    for column, states in (("state", AlertState), ("severity", Severity)):
        (listed,) = re.findall(rf"\({column} = ANY \(ARRAY\[([^\]]*)\]", said)
        assert re.findall(r"'(\w+)'", listed) == [str(state) for state in states]
