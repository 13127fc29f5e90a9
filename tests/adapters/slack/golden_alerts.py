"""One full example of each event, and the messages that they become: `python tests/adapters/slack/golden_alerts.py`
writes them to golden/ again after the words or the shape have changed; the diff is then for a person to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from settlement.adapters.slack import renderer
from settlement.domain.alerts.breaks import BreakLine, BreaksAged, BreaksOpened
from settlement.domain.alerts.day import (
    BackfillSummary,
    BreakTotal,
    ControlBroken,
    CurrencyTotals,
    DayCompleted,
    DayDryRun,
    DayProgress,
    DayRestated,
    DayStarted,
    MatchTotals,
    PayoutTotals,
    RevisedDate,
    Step,
    StepState,
)
from settlement.domain.alerts.event import Event, Money
from settlement.domain.alerts.payload import Payload, fold, of_event
from settlement.domain.alerts.payouts import (
    ApprovalDone,
    ApprovalNeeded,
    PayoutLine,
    PayoutsRejected,
    PayoutsUnknown,
    TakingBackDone,
    TakingBackNeeded,
    Usual,
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

FOLDER = Path(__file__).parent / "golden"
DAY = date(2026, 2, 16)


def at(hour: int, minute: int = 0) -> datetime:
    """A time of the morning after the settlement date, in Seoul."""
    return datetime(2026, 2, 17, hour, minute, tzinfo=ZoneInfo("Asia/Seoul"))


def won(amount: int) -> Money:
    return Money(amount=amount, currency="KRW")


def krw(amount: int) -> tuple[Money, ...]:
    return (won(amount),)


RUN_ID = "scheduled__2026-02-17T06:00:00+09:00"
LOG = "http://localhost:8080/dags/daily_settlement/runs/scheduled__2026-02-17/tasks/transfer.submit"

DAY_EVENTS: tuple[Event, ...] = (
    DayStarted(settlement_date=DAY, repayment_count=1_204, expected=krw(98_765_432), deadline_at=at(12)),
    DayProgress(settlement_date=DAY, step=Step.EXTRACT, state=StepState.DONE, at=at(6, 1), row_count=1_204),
    DayProgress(settlement_date=DAY, step=Step.COMPUTE, state=StepState.DONE, at=at(6, 2), row_count=48_111),
    DayProgress(settlement_date=DAY, step=Step.TRANSFER, state=StepState.WAITING, at=at(6, 3)),
    DayCompleted(
        settlement_date=DAY,
        state="settled_with_breaks",
        completed_at=at(9, 3),
        deadline_at=at(12),
        totals=(
            CurrencyTotals(
                currency="KRW",
                repayment_count=1_204,
                received_amount=98_765_432,
                distributed_amount=96_512_087,
                fee_amount=801_204,
                vat_amount=80_120,
                national_tax_amount=1_120_430,
                local_tax_amount=112_040,
                cost_amount=30_000,
                credit_amount=5_000,
                quarantined_amount=104_551,
            ),
            CurrencyTotals(
                currency="USD",
                repayment_count=2,
                received_amount=120_050,
                distributed_amount=120_050,
            ),
        ),
        payouts=(
            PayoutTotals(
                currency="KRW",
                paid_count=812,
                paid_amount=96_001_000,
                held_count=3,
                held_amount=401_087,
                unknown_count=1,
                unknown_amount=110_000,
            ),
            PayoutTotals(currency="USD", paid_count=2, paid_amount=120_050),
        ),
        matches=(
            MatchTotals(
                currency="KRW",
                line_count=2_016,
                matched_count=2_015,
                line_amount=194_766_432,
                matched_amount=194_656_432,
            ),
        ),
        breaks=(
            BreakTotal(cause="overpaid", count=1, amount=krw(5_000)[0]),
            BreakTotal(cause="missing_at_bank", count=1, amount=krw(110_000)[0]),
        ),
        controls_passed=12,
        controls_total=12,
    ),
)

EVENTS: dict[str, tuple[Event, ...]] = {
    "day.started": DAY_EVENTS[:1],
    "day.progress": DAY_EVENTS[:4],
    "day.completed": DAY_EVENTS,
    "task.retry": (
        TaskRetry(
            settlement_date=DAY,
            run_id=RUN_ID,
            task="transfer.submit",
            try_number=4,
            code="Unavailable",
            next_try_at=at(6, 12),
            log_url=LOG,
        ),
    ),
    "task.failed": (
        TaskFailed(
            settlement_date=DAY,
            run_id=RUN_ID,
            task="transfer.submit",
            try_number=4,
            code="Unavailable",
            error="Unavailable: the bank [http://ops:s3cret@bank:8080] did not answer <within> 60 s",
            money=MoneyStatus(state=MoneyState.UNKNOWN, count=812, amounts=krw(96_111_000)),
            deadline_at=at(12),
            log_url=LOG,
        ),
    ),
    "run.refused": (
        RunRefused(
            settlement_date=date(2026, 2, 15),
            run_id="manual__2026-02-17T01:00:00+00:00",
            try_number=1,
            asked_by="maker",
            error="[2026-02-15] cannot be settled: it is a Sunday. The nearest dates that can be settled are"
            " [2026-02-13] and [2026-02-16].",
            log_url=LOG,
        ),
    ),
    "alert.acknowledged": (
        AlertAcknowledged(
            settlement_date=DAY, problem="unknown", problem_event="payouts.unknown", by="checker", at=at(7, 40)
        ),
    ),
    "payouts.unknown": (PayoutsUnknown(settlement_date=DAY, count=812, amounts=krw(96_111_000), inquiry_at=at(6, 30)),),
    "payouts.rejected": (PayoutsRejected(settlement_date=DAY, code="AC04", count=3, amounts=krw(301_087)),),
    "approval.needed": (
        ApprovalNeeded(
            settlement_date=DAY,
            batch="2026-02-16-1",
            count=812,
            amounts=krw(6_000_000_000),
            limits=krw(5_000_000_000),
            distributed=krw(6_012_000_000),
            usual=(Usual(amount=won(4_000_000_000), weeks=8, percent=150),),
            largest=(
                PayoutLine(payee_id="I0257", amount=won(311_462_000)),
                PayoutLine(payee_id="I0003", amount=won(300_000_000)),
            ),
            expires_at=at(18),
            run_id=RUN_ID,
        ),
    ),
    "approval.done": (
        ApprovalNeeded(
            settlement_date=DAY, batch="2026-02-16-1", count=812, amounts=krw(6_000_000_000), expires_at=at(18)
        ),
        ApprovalDone(settlement_date=DAY, batch="2026-02-16-1", approved=True, by="checker", at=at(7, 40)),
    ),
    "taking_back.needed": (
        TakingBackNeeded(
            settlement_date=DAY,
            batch="20260216-0f343b0931ab12cd-R1",
            dates=(
                RevisedDate(settlement_date=DAY, revision=2),
                RevisedDate(settlement_date=date(2026, 2, 20), revision=3),
            ),
            difference=krw(-1_603),
            taken_back=krw(1_603),
            expires_at=at(18),
            run_id=RUN_ID,
        ),
    ),
    "taking_back.done": (
        TakingBackNeeded(
            settlement_date=DAY,
            batch="20260216-0f343b0931ab12cd-R1",
            dates=(RevisedDate(settlement_date=DAY, revision=2),),
            difference=krw(-1_603),
            taken_back=krw(1_603),
            expires_at=at(18),
        ),
        TakingBackDone(
            settlement_date=DAY, batch="20260216-0f343b0931ab12cd-R1", approved=False, by="checker", at=at(7, 40)
        ),
    ),
    "breaks.opened": (
        BreaksOpened(
            settlement_date=DAY,
            digest="0f343b0931",
            count=12,
            unmatched=krw(615_000),
            breaks=tuple(
                BreakLine(
                    break_id=str(41 + number),
                    cause="missing_at_bank" if number == 0 else "unknown_at_bank",
                    amount=krw(110_000 - 5_000 * number)[0],
                    age_business_days=number % 3,
                    subject_id=f"P20260216-{number:07d}",
                )
                for number in range(10)
            ),
            oldest_business_days=2,
            missing_payout_count=1,
        ),
    ),
    "resolved": (Resolved(settlement_date=DAY, problem="unknown", problem_event="payouts.unknown", after_minutes=42),),
    "deadline.risk": (
        DeadlineRisk(settlement_date=DAY, step="transfer", minutes_left=58, deadline_at=at(12), waits_for="statement"),
    ),
    "deadline.missed": (
        DeadlineMissed(settlement_date=DAY, step="transfer", minutes_late=1, deadline_at=at(12), waits_for="approval"),
    ),
    "run.absent": (
        RunAbsent(settlement_date=DAY, expected_at=at(6), reason="dag_paused", last_good_date=date(2026, 2, 13)),
    ),
    "input.late": (InputLate(settlement_date=DAY, source="statement", expected_at=at(10)),),
    "input.changed": (
        InputChanged(settlement_date=DAY, source="lending_core", count=2, amounts=krw(20_000), change="changed"),
    ),
    "opening.absent": (
        OpeningAbsent(
            settlement_date=DAY, first_date=DAY, loan_count=212, receipt_count=1_530, amounts=krw(145_350_000)
        ),
    ),
    "control.broken": (
        ControlBroken(
            settlement_date=DAY,
            control="shares_sum_to_allocations",
            problem="allocation [812] of [95000] has shares of [94999]",
            stands=1,
        ),
    ),
    "breaks.aged": (
        BreaksAged(
            settlement_date=DAY,
            over_three_count=4,
            over_three=krw(310_000),
            over_seven_count=1,
            over_seven=krw(200_000),
        ),
    ),
    "backfill.summary": (
        *(
            DayCompleted(
                settlement_date=day,
                backfill_id="7",
                state="settled",
                completed_at=at(9),
                totals=(
                    CurrencyTotals(
                        currency="KRW", repayment_count=1, received_amount=95_000, distributed_amount=95_000
                    ),
                ),
                payouts=(PayoutTotals(currency="KRW", paid_count=1, paid_amount=95_000),),
            )
            for day in (date(2026, 2, 12), date(2026, 2, 13))
        ),
        DayProgress(
            settlement_date=DAY, backfill_id="7", step=Step.TRANSFER, state=StepState.FAILED, at=at(9, 4), row_count=0
        ),
        BackfillSummary(
            settlement_date=None,
            backfill_id="7",
            ok_count=2,
            changed_count=0,
            failed_count=1,
            difference_paid=krw(1_200),
        ),
    ),
    "day.dry_run": (
        DayDryRun(
            settlement_date=DAY,
            run_id="backfill__2026-02-17T06:00:00+09:00",
            run_type="backfill",
            clear_number=1,
            kept_conf='{"dry_run": true}',
            totals=(
                CurrencyTotals(
                    currency="KRW",
                    repayment_count=1_204,
                    received_amount=98_765_432,
                    distributed_amount=97_854_108,
                    fee_amount=801_204,
                    vat_amount=80_120,
                    cost_amount=30_000,
                ),
                CurrencyTotals(currency="USD", repayment_count=2, received_amount=120_050, distributed_amount=120_050),
            ),
            owed=(*krw(98_001_108), Money(amount=120_050, currency="USD")),
        ),
    ),
    "day.restated": (
        DayRestated(
            settlement_date=DAY,
            run_id=RUN_ID,
            dates=(
                RevisedDate(settlement_date=DAY, revision=2),
                RevisedDate(settlement_date=date(2026, 2, 19), revision=3),
            ),
            why="interest of [L1] was 8 000",
            asked_by="maker",
            loan_count=7,
            loans=("L1", "L2", "L3", "L4", "L5"),
            difference=(won(-1_603), Money(amount=250, currency="USD")),
            taken_back=krw(1_603),
        ),
    ),
    "alerts.undelivered": (
        AlertsUndelivered(settlement_date=None, at=at(7), count=2, oldest_at=at(6, 55), code="channel_not_found"),
    ),
    "heartbeat": (
        Heartbeat(
            settlement_date=date(2026, 2, 17),
            last_date=DAY,
            state="settled_with_breaks",
            next_run_at=datetime(2026, 2, 21, 6, 0, tzinfo=ZoneInfo("Asia/Seoul")),
            queue_depth=0,
        ),
    ),
}


def row_of(events: tuple[Event, ...], **changes: Any) -> renderer.Row:
    """Return the row of the outbox that the events come to."""
    payload: Payload = {}
    for event in events:
        payload = fold(payload, event) if event.standing else of_event(event)
    last = events[-1]
    return renderer.Row(
        **{
            "kind": "root" if last.opens_thread else "reply",
            "event": last.name,
            "severity": last.severity,
            "channel": "C0SETTLE",
            "dedupe_key": last.dedupe_key,
            "problem_key": last.key,
            "payload": json.loads(json.dumps(payload)),
            "thread": last.thread,
            "created_at": datetime(2026, 2, 17, 0, 0, tzinfo=UTC),
            "settlement_date": last.settlement_date,
        }
        | changes
    )


def renderer_in(language: str, **settings: Any) -> renderer.Renderer:
    """Return a renderer for a channel of this language, with every link it can have."""
    policy: Any = SimpleNamespace(language=language, channels=(), email_to=(), mention="S0ONCALL")
    links = {"airflow_url": "http://localhost:8080", "runbook_url": "https://wiki.example.com/runbook"}
    return renderer.Renderer(policy=policy, zone=ZoneInfo("Asia/Seoul"), **links | settings)


def messages() -> Iterator[tuple[str, str]]:
    """Yield the name of each golden file and what belongs into it."""
    for name, events in EVENTS.items():
        for language in ("ko", "en"):
            message = renderer_in(language).message(row_of(events))
            shown = {
                "text": message.text,
                "broadcast": message.broadcast,
                "reads": renderer.plain(message).splitlines(),
                "blocks": message.blocks,
            }
            yield f"{name}.{language}.json", json.dumps(shown, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, content in messages():
        golden = FOLDER / file
        # The order of keys says nothing: a file is written only where the message is another.
        if not golden.exists() or json.loads(golden.read_text(encoding="utf-8")) != json.loads(content):
            golden.write_text(content, encoding="utf-8")
