"""Alerts reach Slack once, in order, whatever Slack answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from settlement.domain.alerts.day import DayStarted

from .alert_desk import CHANNEL, DAY, Desk, completed, failed, text_of


def test_a_failed_task_is_a_broadcast_reply_below_the_root_of_its_day(desk: Desk) -> None:
    report = desk.tell(failed())
    root, replies = desk.thread()
    assert desk.shown_keys() == ["2026-02-16:summary", "2026-02-16:failed:scheduled__2026-02-17:transfer.submit:-1:1"]
    assert replies[0]["subtype"] == "thread_broadcast"
    assert "Settlement of 2026-02-16 (Mon)" in root["text"]
    assert (report.posted, report.pending, report.errors) == (2, 0, [])


def test_the_completed_day_is_the_root_message_and_adds_up(desk: Desk) -> None:
    desk.tell(completed())
    root, replies = desk.thread()
    assert replies == []
    shown = text_of(root)
    assert "₩95,000" in shown and "₩88,050" in shown and "does not add up" not in shown


def test_the_same_event_again_is_no_second_message(desk: Desk) -> None:
    assert desk.record(failed())
    assert not desk.record(failed(code="another"))
    desk.deliver()
    assert not desk.record(failed())
    assert desk.deliver().posted == 0
    assert len(desk.shown_keys()) == 2


def test_the_root_is_edited_in_place_as_the_day_goes_on(desk: Desk) -> None:
    desk.tell(DayStarted(settlement_date=DAY, repayment_count=3))
    before, _ = desk.thread()
    assert "running" in before["text"]
    report = desk.tell(completed())
    after, _ = desk.thread()
    assert (report.posted, report.edited) == (0, 1)
    assert after["ts"] == before["ts"]
    assert "settled" in after["text"]
    assert not desk.record(completed())


def test_a_row_that_its_transaction_rolls_back_never_was(desk: Desk) -> None:
    with desk.engine.connect() as connection:
        desk.outbox(connection).record(failed(), now=desk.now)
        connection.rollback()
    assert desk.deliver().posted == 0
    assert desk.rows() == []


def test_a_slowed_down_sender_waits_as_told_and_goes_on(desk: Desk) -> None:
    desk.fail({"how": "rate_limited", "times": 2, "seconds": 1})
    report = desk.tell(failed())
    assert report.errors == ["ratelimited", "ratelimited"]
    assert len(desk.shown_keys()) == 2


def test_an_answer_that_was_lost_is_looked_for_before_posting_again(desk: Desk) -> None:
    desk.tell(completed())
    desk.fail({"how": "lost_answer", "method": "chat.postMessage"})
    desk.tell(failed())
    assert desk.row("task.failed").state == "pending"
    desk.end_backoff()
    report = desk.deliver()
    assert (report.posted, report.found) == (0, 1)
    assert len(desk.shown_keys()) == 2
    assert desk.row("task.failed").state == "delivered"


def test_a_request_that_was_lost_is_posted_again(desk: Desk) -> None:
    for how in ("lost_request", "server_error", "internal_error"):
        desk.fail({"how": how, "method": "chat.postMessage"})
        desk.tell(failed(task=how))
        desk.end_backoff()
        desk.deliver()
    assert [key.split(":")[3] for key in desk.shown_keys()[1:]] == ["lost_request", "server_error", "internal_error"]


def test_what_may_still_be_on_its_way_is_not_posted_again(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settles_after_seconds=30, longest_call_seconds=10)
    desk.tell(completed())
    desk.fail({"how": "hang", "method": "chat.postMessage", "seconds": 4})
    desk.alerts._longest_call = 0.3  # of this call alone: no other is to be lost on a slow machine
    assert desk.tell(failed()).errors == ["timeout_error"]
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("update ledger.alert_roots set next_try_at = 'epoch', failures = 0")
    desk.alerts._longest_call = 10
    report = desk.alerts.deliver(now=desk.now, limit_seconds=10)
    assert (report.posted, report.errors) == (0, ["waits_for_former_request"])
    arrives_until = time.monotonic() + 60
    while len(desk.shown_keys()) < 2:  # the request arrives after all
        assert time.monotonic() < arrives_until
        time.sleep(0.1)
    desk.end_backoff()
    assert desk.deliver().found == 1
    assert len(desk.shown_keys()) == 2


def test_every_attempt_is_kept_with_its_code(desk: Desk) -> None:
    desk.fail({"how": "server_error", "method": "chat.postMessage"})
    desk.tell(completed())
    desk.end_backoff()
    desk.deliver()
    with desk.engine.connect() as connection:
        rows = connection.exec_driver_sql("select outcome, error from ledger.alert_attempts order by attempt_id").all()
    assert [tuple(row) for row in rows] == [("unknown", "http_503"), ("done", None)]
    (row,) = desk.alerts.listing()
    assert (row.state, row.attempts, row.last_error) == ("delivered", 2, None)


def test_without_a_connection_alerts_wait(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.alerts._find_slack = lambda: None
    assert desk.tell(failed()).pending == 2
    assert desk.sink.conversation(CHANNEL) == []


def test_a_channel_gets_only_the_severities_it_wants_under_a_root_that_shows_the_day(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk(
        """
        name = "test"
        [[alerts.channels]]
        id = "C0ALL"
        language = "en"
        [[alerts.channels]]
        id = "C0CRITICAL"
        severities = ["critical"]
        """
    )
    desk.tell(DayStarted(settlement_date=DAY, repayment_count=3))
    assert desk.shown_keys("C0CRITICAL") == []
    desk.tell(failed())
    root, _ = desk.thread("C0CRITICAL")
    assert "진행 중" in root["text"].split("/")[0]
    desk.tell(completed())
    root, _ = desk.thread("C0CRITICAL")
    assert "정산 · 완료" in root["text"]
