"""People delete messages, and workspaces refuse edits: what there is to tell is told all the same."""

from __future__ import annotations

import pytest
from settlement.domain.alerts.day import DayProgress, DayStarted, Step, StepState
from settlement.domain.alerts.event import Event, Money
from settlement.domain.alerts.payouts import ApprovalDone, ApprovalNeeded, PayoutsRejected
from settlement.domain.alerts.watch import Resolved

from .alert_desk import CHANNEL, DAY, NOON, Desk, completed, failed, text_of

KRW = (Money(amount=88_050, currency="KRW"),)
STARTED = DayStarted(settlement_date=DAY, repayment_count=3)
PROGRESS = DayProgress(settlement_date=DAY, step=Step.EXTRACT, state=StepState.DONE, at=NOON, row_count=3)
REJECTED = PayoutsRejected(settlement_date=DAY, code="AC04", count=1, amounts=KRW)
RUN = "scheduled__2026-02-17"


def delete(desk: Desk, ts: str) -> None:
    desk.sink.store.delete(CHANNEL, ts)


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (PROGRESS, ["2026-02-16:summary"]),
        (completed(), ["2026-02-16:summary"]),
        (REJECTED, ["2026-02-16:summary", "2026-02-16:rejected:AC04"]),
        (failed(), ["2026-02-16:summary", f"2026-02-16:failed:{RUN}:transfer.submit:-1:1"]),
    ],
)
def test_a_deleted_message_of_the_day_is_posted_anew(desk: Desk, event: Event, keys: list[str]) -> None:
    desk.tell(STARTED)
    delete(desk, desk.thread()[0]["ts"])
    desk.tell(event)
    assert desk.shown_keys() == keys
    assert {row.state for row in desk.rows()} == {"delivered"}
    assert desk.mailbox.mails == []


def test_below_a_tombstone_nothing_is_said_any_more_and_nothing_is_said_twice(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.tell(failed("a"))
    delete(desk, desk.thread()[0]["ts"])
    desk.tell(REJECTED)
    desk.tell(completed())
    (tombstone, before), (root, after) = desk.sink.conversation(CHANNEL)
    assert tombstone["text"] == "This message was deleted."
    assert [len(before), len(after)] == [1, 2]  # the rejected payouts, and that the failed task is over
    assert "settled" in root["text"] and "₩88,050" in text_of(after[0])
    assert desk.shown_keys() == [
        f"2026-02-16:failed:{RUN}:a:-1:1",
        "2026-02-16:summary",
        "2026-02-16:rejected:AC04",
        f"2026-02-16:resolved:failed:{RUN}:a:-1:1",
    ]


def test_a_root_that_vanishes_while_a_reply_is_posted_is_posted_anew_before_it(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.fail({"how": "thread_not_found", "method": "chat.postMessage"})
    report = desk.tell(REJECTED)
    assert (report.posted, report.failed) == (2, 0)
    (_, first), (_, second) = desk.sink.conversation(CHANNEL)
    assert [len(first), len(second)] == [0, 1]


def test_a_thread_that_slack_never_finds_is_mailed_and_not_posted_for_ever(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.fail({"how": "thread_not_found", "method": "chat.postMessage"}, {"how": "thread_not_found", "times": 9})
    report = desk.tell(REJECTED)
    assert (report.failed, report.mailed) == (2, 2)
    assert "AC04" in desk.mailbox.mails[0]["body"]
    assert desk.deliver().mailed == 0


def test_a_reply_that_was_lost_below_a_deleted_root_is_told_below_the_next(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.fail({"how": "lost_request", "method": "chat.postMessage"})
    desk.tell(REJECTED)
    delete(desk, desk.thread()[0]["ts"])
    desk.end_backoff()
    desk.deliver()
    assert desk.shown_keys() == ["2026-02-16:summary", "2026-02-16:rejected:AC04"]


def test_a_reply_that_stands_below_a_deleted_root_is_not_told_twice(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.fail({"how": "lost_answer", "method": "chat.postMessage"})
    desk.tell(REJECTED)
    delete(desk, desk.thread()[0]["ts"])
    desk.end_backoff()
    assert desk.deliver().found == 1
    assert desk.shown_keys() == ["2026-02-16:rejected:AC04", "2026-02-16:summary"]


def test_a_deleted_reply_is_posted_anew_when_there_is_something_new_to_show(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.tell(failed())
    delete(desk, desk.thread()[1][0]["ts"])
    desk.tell(Resolved(settlement_date=DAY, problem=f"failed:{RUN}:transfer.submit:-1:1", problem_event="task.failed"))
    _, replies = desk.thread()
    assert [reply["text"][0] for reply in replies] == ["✅", "✅"]


def test_a_deleted_table_of_failures_is_posted_anew_with_all_of_them(desk: Desk) -> None:
    desk.tell(STARTED)
    for index in (1, 2):
        desk.record(failed("compute.distribute", map_index=index))
    desk.deliver()
    delete(desk, desk.thread()[1][0]["ts"])
    desk.tell(failed("compute.distribute", map_index=3))
    _, (reply,) = desk.thread()
    assert "3 failures of the same kind" in text_of(reply)
    assert {row.state for row in desk.rows()} == {"delivered"}


def test_who_may_not_read_the_channel_still_posts(desk: Desk) -> None:
    desk.tell(STARTED)
    desk.fail({"how": "missing_scope", "method": "conversations.replies", "times": 9})
    assert desk.tell(REJECTED).posted == 1


@pytest.mark.parametrize(
    ("code", "times"),
    [
        ("cant_update_message", 1),
        ("edit_window_closed", 1),
        ("msg_too_long", 2),
        ("invalid_blocks", 2),
        ("channel_not_found", 1),
        ("is_archived", 1),
    ],
)
def test_the_end_of_the_day_is_mailed_when_slack_refuses_to_show_it(desk: Desk, code: str, times: int) -> None:
    desk.tell(STARTED)
    desk.fail({"how": code, "method": "chat.update", "times": times})
    report = desk.tell(completed())
    assert (report.failed, report.mailed) == (1, 1)
    (mail,) = desk.mailbox.mails
    assert code in mail["body"] and "₩95,000" in mail["body"]
    assert desk.deliver().mailed == 0


def test_of_a_refused_day_its_beginning_and_its_end_are_mailed_and_no_step_between(desk: Desk) -> None:
    desk.fail({"how": "channel_not_found", "times": 99})
    assert [desk.tell(event).mailed for event in (STARTED, PROGRESS, completed())] == [1, 0, 1]
    assert "₩95,000" in desk.mailbox.mails[1]["body"]
    assert desk.deliver().mailed == 0


def test_a_refused_approval_is_mailed_again_when_somebody_has_decided(desk: Desk) -> None:
    desk.tell(completed())
    desk.fail({"how": "restricted_action", "times": 99})
    needed = ApprovalNeeded(settlement_date=DAY, batch="b1", count=3, amounts=KRW, limits=KRW, expires_at=NOON)
    assert desk.tell(needed).mailed == 1
    done = ApprovalDone(settlement_date=DAY, batch="b1", approved=True, by="checker", at=NOON)
    assert desk.tell(done).mailed == 1
    assert "checker" in desk.mailbox.mails[1]["body"]
