"""Events know how loud they are, what they are called and where they belong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from settlement.domain.alerts import payload, routing
from settlement.domain.alerts.breaks import BreaksAged, BreaksOpened, digest
from settlement.domain.alerts.day import (
    BackfillSummary,
    BreakTotal,
    ControlBroken,
    DayCompleted,
    DayDryRun,
    DayProgress,
    DayRestated,
    DayStarted,
    PayoutTotals,
    RevisedDate,
    Step,
    StepState,
)
from settlement.domain.alerts.event import Event, Money, Severity
from settlement.domain.alerts.payouts import (
    ApprovalDone,
    ApprovalNeeded,
    PayoutsRejected,
    PayoutsUnknown,
    TakingBackDone,
    TakingBackNeeded,
)
from settlement.domain.alerts.task import MoneyState, MoneyStatus, RunRefused, TaskFailed, TaskRetry
from settlement.domain.alerts.watch import (
    AlertAcknowledged,
    AlertsUndelivered,
    DeadlineMissed,
    DeadlineRisk,
    Heartbeat,
    InputChanged,
    InputLate,
    OpeningAbsent,
    Resolved,
    RunAbsent,
)

DAY = date(2026, 2, 16)
AT = datetime(2026, 2, 17, 3, 0, tzinfo=UTC)
KRW = (Money(amount=88_050, currency="KRW"),)

EVENTS: dict[str, tuple[Event, str, str]] = {
    "day.started": (DayStarted(settlement_date=DAY, repayment_count=1), "info", "2026-02-16:summary"),
    "day.progress": (
        DayProgress(settlement_date=DAY, step=Step.EXTRACT, state=StepState.DONE, at=AT),
        "info",
        "2026-02-16:summary",
    ),
    "day.completed": (
        DayCompleted(settlement_date=DAY, state="settled", completed_at=AT),
        "info",
        "2026-02-16:summary",
    ),
    "task.retry": (
        TaskRetry(settlement_date=DAY, run_id="r", task="t", try_number=1, code="c"),
        "info",
        "2026-02-16:retry:r:t:-1",
    ),
    "task.failed": (
        TaskFailed(settlement_date=DAY, run_id="r", task="t", map_index=2, try_number=3, code="c"),
        "critical",
        "2026-02-16:failed:r:t:2:3",
    ),
    "run.refused": (RunRefused(settlement_date=DAY, run_id="r", try_number=1), "info", "2026-02-16:refused:r"),
    "alert.acknowledged": (
        AlertAcknowledged(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown", by="kim", at=AT),
        "info",
        "2026-02-16:acknowledged:unknown",
    ),
    "payouts.unknown": (
        PayoutsUnknown(settlement_date=DAY, count=1, amounts=KRW),
        "critical",
        "2026-02-16:unknown",
    ),
    "payouts.rejected": (
        PayoutsRejected(settlement_date=DAY, code="AC04", count=1, amounts=KRW),
        "warning",
        "2026-02-16:rejected:AC04",
    ),
    "approval.needed": (
        ApprovalNeeded(settlement_date=DAY, batch="b1", count=1, amounts=KRW),
        "warning",
        "2026-02-16:approval:b1",
    ),
    "approval.done": (
        ApprovalDone(settlement_date=DAY, batch="b1", approved=True, by="checker", at=AT),
        "info",
        "2026-02-16:approval:b1",
    ),
    "taking_back.needed": (
        TakingBackNeeded(settlement_date=DAY, batch="b1-R1", dates=(), difference=KRW, taken_back=KRW),
        "warning",
        "2026-02-16:taking_back:b1-R1",
    ),
    "taking_back.done": (
        TakingBackDone(settlement_date=DAY, batch="b1-R1", approved=True, by="checker", at=AT),
        "info",
        "2026-02-16:taking_back:b1-R1",
    ),
    "breaks.opened": (
        BreaksOpened(settlement_date=DAY, digest="abc", count=1, unmatched=KRW, breaks=()),
        "warning",
        "2026-02-16:breaks:abc",
    ),
    "resolved": (
        Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown"),
        "info",
        "2026-02-16:resolved:unknown",
    ),
    "deadline.risk": (
        DeadlineRisk(settlement_date=DAY, step="transfer", minutes_left=42, deadline_at=AT),
        "warning",
        "2026-02-16:risk",
    ),
    "deadline.missed": (
        DeadlineMissed(settlement_date=DAY, step="transfer", minutes_late=5, deadline_at=AT),
        "critical",
        "2026-02-16:missed",
    ),
    "run.absent": (
        RunAbsent(settlement_date=DAY, expected_at=AT, reason="no_run"),
        "critical",
        "2026-02-16:absent",
    ),
    "input.late": (
        InputLate(settlement_date=DAY, source="statement", expected_at=AT),
        "warning",
        "2026-02-16:input:statement",
    ),
    "input.changed": (
        InputChanged(settlement_date=DAY, source="lending_core", count=1),
        "warning",
        "2026-02-16:input:lending_core",
    ),
    "opening.absent": (
        OpeningAbsent(settlement_date=DAY, first_date=DAY, loan_count=1, receipt_count=2, amounts=KRW),
        "warning",
        "2026-02-16:opening",
    ),
    "control.broken": (
        ControlBroken(settlement_date=DAY, control="shares_sum", problem="off by 1"),
        "critical",
        "2026-02-16:control:shares_sum",
    ),
    "breaks.aged": (
        BreaksAged(settlement_date=DAY, over_three_count=1, over_three=KRW, over_seven_count=0, over_seven=()),
        "warning",
        "2026-02-16:aged",
    ),
    "backfill.summary": (
        BackfillSummary(settlement_date=None, backfill_id="7", ok_count=1, changed_count=0, failed_count=0),
        "info",
        "backfill:7",
    ),
    "day.restated": (
        DayRestated(settlement_date=DAY, run_id="r", dates=(RevisedDate(settlement_date=DAY, revision=2),)),
        "info",
        "2026-02-16:restated:r:2026-02-16:2",
    ),
    "day.dry_run": (DayDryRun(settlement_date=DAY, run_id="r"), "info", "2026-02-16:dry:r"),
    "alerts.undelivered": (
        AlertsUndelivered(settlement_date=None, at=AT, count=1, oldest_at=AT, code="invalid_auth"),
        "critical",
        "undelivered:2026-02-17T03",
    ),
    "heartbeat": (
        Heartbeat(settlement_date=DAY, last_date=DAY, state="settled", next_run_at=AT, queue_depth=0),
        "info",
        "2026-02-16:heartbeat",
    ),
}


def test_the_table_of_events_is_complete() -> None:
    assert set(EVENTS) == set(payload.EVENTS)
    assert all(event.name == name for name, (event, _, _) in EVENTS.items())


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_has_the_severity_and_key_of_the_table(name: str) -> None:
    event, severity, key = EVENTS[name]
    assert (event.severity, event.dedupe_key) == (severity, key)


def test_a_missing_or_doubled_payout_makes_breaks_critical() -> None:
    fields: dict[str, Any] = {"settlement_date": DAY, "digest": "a", "count": 1, "unmatched": KRW, "breaks": ()}
    assert BreaksOpened(**fields, missing_payout_count=1).severity == "critical"
    assert BreaksOpened(**fields, doubled_payout_count=1).severity == "critical"


def test_a_day_with_breaks_or_unknown_payouts_completes_as_a_warning() -> None:
    fields: dict[str, Any] = {"settlement_date": DAY, "state": "settled_with_breaks", "completed_at": AT}
    breaks = (BreakTotal(cause="overpaid", count=1, amount=KRW[0]),)
    assert DayCompleted(**fields, breaks=breaks).severity == "warning"
    unknown = (PayoutTotals(currency="KRW", unknown_count=1, unknown_amount=5),)
    assert DayCompleted(**fields, payouts=unknown).severity == "warning"


def test_in_a_backfill_nothing_is_critical_unless_money_would_move() -> None:
    fields: dict[str, Any] = {"settlement_date": DAY, "run_id": "r", "task": "t", "try_number": 1, "code": "c"}
    assert TaskFailed(**fields, backfill_id="7").severity == "warning"
    sent = MoneyStatus(state=MoneyState.SENT, count=1, amounts=KRW)
    assert TaskFailed(**fields, backfill_id="7", money=sent).severity == "critical"


def test_a_restatement_that_takes_money_back_is_a_warning_and_the_next_one_of_its_run_is_another_message() -> None:
    fields: dict[str, Any] = {"settlement_date": DAY, "run_id": "r", "taken_back": KRW}
    second, third = (DayRestated(**fields, dates=(RevisedDate(settlement_date=DAY, revision=n),)) for n in (2, 3))
    assert (second.severity, third.severity) == ("warning", "warning")
    assert (second.dedupe_key, third.dedupe_key) == (
        "2026-02-16:restated:r:2026-02-16:2",
        "2026-02-16:restated:r:2026-02-16:3",
    )


def test_what_a_person_wrote_as_a_reason_is_safe_before_it_can_be_stored() -> None:
    dates = (RevisedDate(settlement_date=DAY, revision=2),)
    event = DayRestated(settlement_date=DAY, run_id="r", dates=dates, why="110-234-567890 of a@example.com was wrong")
    assert event.why == "***-7890 of *** was wrong"


def test_everything_of_a_backfill_stands_in_its_own_thread() -> None:
    started = DayStarted(settlement_date=DAY, repayment_count=1, backfill_id="7")
    assert (started.thread, started.dedupe_key) == ("backfill:7", "backfill:7")


def test_what_an_exception_says_is_safe_before_it_can_be_stored() -> None:
    error = "cannot log in: postgresql://app:s3cret@db/x?password=hunter2 for 110-234-567890 of 900101-1234567"
    event = TaskFailed(settlement_date=DAY, run_id="r", task="t", try_number=1, code="c", error=error)
    assert event.error == "cannot log in: postgresql://***@db/x?password=*** for ***-7890 of ***"


def channel(name: str, *severities: str, backfills: bool = False) -> SimpleNamespace:
    return SimpleNamespace(
        id=name, severities=severities or tuple(Severity), language=None, backfills=backfills, mention=""
    )


def recipients(event: Event, *channels: SimpleNamespace) -> list[str]:
    policy: Any = SimpleNamespace(language="ko", channels=channels, email_to=(), mention="")
    return routing.recipients(event, policy)


def test_a_channel_gets_the_severities_it_wants() -> None:
    channels = channel("C0ALL"), channel("C0CRITICAL", "critical")
    assert recipients(EVENTS["day.started"][0], *channels) == ["C0ALL"]
    assert recipients(EVENTS["task.failed"][0], *channels) == ["C0ALL", "C0CRITICAL"]


def test_each_time_that_a_dry_run_is_run_again_is_told_louder_and_alone() -> None:
    again = DayDryRun(settlement_date=DAY, run_id="r", clear_number=2, kept_conf='{"dry_run": true}')
    assert (again.severity, again.dedupe_key, again.thread) == ("warning", "2026-02-16:dry:r:2", "2026-02-16:dry:r:2")


def test_a_dry_run_of_a_backfill_is_told_where_backfills_are() -> None:
    channels = channel("C0DAYS"), channel("C0BACKFILLS", backfills=True)
    assert recipients(DayDryRun(settlement_date=DAY, run_id="r"), *channels) == ["C0DAYS"]
    assert recipients(DayDryRun(settlement_date=DAY, run_id="r", run_type="backfill"), *channels) == ["C0BACKFILLS"]


def test_backfills_go_to_their_own_channel_where_there_is_one() -> None:
    channels = channel("C0DAYS"), channel("C0BACKFILLS", backfills=True)
    started = DayStarted(settlement_date=DAY, repayment_count=1, backfill_id="7")
    assert recipients(started, *channels) == ["C0BACKFILLS"]
    assert recipients(EVENTS["day.started"][0], *channels) == ["C0DAYS"]
    assert recipients(started, channels[0]) == ["C0DAYS"]


def test_a_critical_that_no_channel_wants_goes_out_by_email() -> None:
    assert recipients(EVENTS["task.failed"][0], channel("C0INFO", "info")) == ["email"]
    assert recipients(EVENTS["day.started"][0], channel("C0CRITICAL", "critical")) == []


def test_a_set_of_breaks_has_one_name_in_any_order() -> None:
    assert digest(["b", "a"]) == digest(["a", "b"]) != digest(["a"])
