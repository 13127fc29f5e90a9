"""Telling people: what happened becomes an event in the outbox, in the transaction that it tells of.

A stage says what happened; who hears of it, once, in which channel and words, is not its business. What a task's or a
run's failure comes to is told here as well, by Airflow's callbacks, so nothing here imports what is slow to import.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from settlement.domain.alerts.breaks import SHOWN_BREAKS, BreakLine, BreaksOpened, digest
from settlement.domain.alerts.day import (
    BackfillSummary,
    ControlBroken,
    CurrencyTotals,
    DayDryRun,
    DayProgress,
    DayRestated,
    DayStarted,
    RevisedDate,
    Step,
    StepState,
)
from settlement.domain.alerts.event import Event, Money
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
from settlement.domain.alerts.watch import InputChanged, InputLate, OpeningAbsent, Resolved
from settlement.domain.days import DayState
from settlement.domain.errors import Broken, Refused
from settlement.domain.payments.state import UNSENT, PayoutState
from settlement.ports.approvals import Question
from settlement.ports.books import Books, NotifyingBooks
from settlement.ports.breaks import Break
from settlement.ports.days import DayRun, PayoutSum, TaskFailure
from settlement.ports.services import Notifications, Services
from settlement.stages import standing

if TYPE_CHECKING:
    from settlement.domain.breaks import Finding
    from settlement.ports.source import EarlierReceipts

LONGEST_DELIVERY_SECONDS = 5
SHOWN_LOANS = 5

# ------------------------------------------------------------------------------------------------------- the day


def day_started(
    services: Services, books: Books, day: DayRun, *, expected: Mapping[str, int], count: int, now: datetime
) -> None:
    """Tell that a run took the settlement date on, and what it expects to settle; not of a day that is settled."""
    if not _is_settled(books, day):
        event = DayStarted(
            settlement_date=day.settlement_date,
            backfill_id=day.backfill_id,
            revision=day.revision,
            run_id=day.run_id,
            repayment_count=count,
            expected=_money(expected),
            deadline_at=standing.deadline(services).of(day.settlement_date),
        )
        books.outbox.record(event, now=now)


def step_done(books: Books, day: DayRun, step: Step, *, row_count: int, now: datetime) -> None:
    """Tell that a step of the day has ended; not of a day that is settled already."""
    if not _is_settled(books, day):
        event = DayProgress(
            settlement_date=day.settlement_date,
            backfill_id=day.backfill_id,
            revision=day.revision,
            run_id=day.run_id,
            step=step,
            state=StepState.DONE,
            at=now,
            row_count=row_count,
        )
        books.outbox.record(event, now=now)


def day_completed(services: Services, books: Books, on: date, *, now: datetime) -> None:
    """Tell what a settlement date came to, as the books stand."""
    books.outbox.record(standing.completed(services, books, on), now=now)


def day_restated(
    books: Books,
    day: DayRun,
    revisions: Mapping[date, int],
    *,
    reason: str | None,
    by: str | None,
    difference: Mapping[str, int],
    taken_back: Mapping[str, int],
    now: datetime,
) -> None:
    """Tell what a run has changed of dates that were settled: once, in the thread of the date that it settles.

    `difference` is what investors have more than before, net, and `taken_back` what of that they had been paid.
    """
    run_again: set[str] = set()
    for on, revision in revisions.items():
        run_again |= books.replays.replayed_after(on, revision - 1)
    event = DayRestated(
        settlement_date=day.settlement_date,
        backfill_id=day.backfill_id,
        run_id=day.run_id,
        dates=_revised(revisions),
        why=reason or "",
        asked_by=by or "",
        loan_count=len(run_again),
        loans=tuple(sorted(run_again, key=str.encode)[:SHOWN_LOANS]),
        difference=_money(difference),
        taken_back=_money(taken_back),
    )
    books.outbox.record(event, now=now)


def taking_back_needed(
    books: Books,
    day: DayRun,
    asked: Question,
    revisions: Mapping[date, int],
    *,
    difference: Mapping[str, int],
    now: datetime,
) -> TakingBackNeeded:
    """Tell that what a run would take back of money that was paid waits for a second person; return what is told."""
    event = TakingBackNeeded(
        settlement_date=day.settlement_date,
        backfill_id=day.backfill_id,
        run_id=day.run_id,
        batch=asked.approval_id,
        dates=_revised(revisions),
        difference=_money(difference),
        taken_back=_money(asked.amounts),
        expires_at=asked.expires_at,
    )
    books.outbox.record(event, now=now)
    return event


def day_dry_run(books: Books, day: DayRun, *, computed: Mapping[str, Any], now: datetime) -> None:
    """Tell what a dry run computed (see `compute.distribute`): the one message of it."""
    event = DayDryRun(
        settlement_date=day.settlement_date,
        run_id=day.run_id,
        run_type=day.run_type,
        clear_number=day.clear_number,
        kept_conf=day.kept_conf or "",
        finding=_finding(computed),
        totals=tuple(CurrencyTotals(currency=currency, **sums) for currency, sums in computed["totals"].items()),
        owed=_money({currency: sums["amount"] for currency, sums in computed["owed"].items()}),
        dates=_revised({date.fromisoformat(on): revision for on, revision in computed.get("restated", {}).items()}),
        difference=_money(computed.get("difference", {})),
        taken_back=_money(computed.get("taken_back", {})),
    )
    books.outbox.record(event, now=now)


def _finding(computed: Mapping[str, Any]) -> Literal["would_settle", "would_restate", "is_settled"]:
    """Return what a dry run found that a run would do."""
    if computed.get("restated"):
        return "would_restate"
    return "is_settled" if "already" in computed else "would_settle"


def _revised(revisions: Mapping[date, int]) -> tuple[RevisedDate, ...]:
    return tuple(RevisedDate(settlement_date=on, revision=revision) for on, revision in sorted(revisions.items()))


def distribution_broken(services: Services, day: DayRun, broken: Broken, *, now: datetime) -> Refused:
    """Record that a control stopped the distribution, and return the refusal; of a settled date, with what stands."""
    with services.ledger.books(read_only=True) as books:
        found = books.days.find(day.settlement_date)
    return control_broken(
        services,
        day.settlement_date,
        broken,
        backfill_id=day.backfill_id,
        stands=found.revision if found else 0,
        now=now,
    )


def control_broken(
    services: Services, on: date, broken: Broken, *, backfill_id: str | None = None, stands: int = 0, now: datetime
) -> Refused:
    """Record that a control stopped the day, and return the refusal to raise: trying again would break it again.

    `stands` is the revision that the date keeps where it was settled before.
    """
    with services.ledger.books() as books:
        books.days.note_controls(on, [broken.control], is_held=False, now=now)
        event = ControlBroken(
            settlement_date=on,
            backfill_id=backfill_id,
            control=broken.control,
            problem=broken.problem,
            stands=stands,
        )
        books.outbox.record(event, now=now)
    deliver(services, now=now)
    return Refused(f"{broken}. Revision [{stands}] of [{on}] stands as it was" if stands else str(broken))


# --------------------------------------------------------------------------------------------------- its payouts


def payouts_unknown(
    books: Books,
    on: date,
    *,
    backfill_id: str | None,
    count: int,
    amounts: Mapping[str, int],
    inquiry_at: datetime | None,
    ask_about: Sequence[str],
    now: datetime,
) -> None:
    """Tell that payouts of a date went out and no answer came.

    `inquiry_at` is when the bank is asked by itself, `ask_about` are the files of which only a person can ask it.
    """
    event = PayoutsUnknown(
        settlement_date=on,
        backfill_id=backfill_id,
        count=count,
        amounts=_money(amounts),
        inquiry_at=inquiry_at,
        ask_about=tuple(ask_about),
    )
    books.outbox.record(event, now=now)


def payouts_rejected(
    books: Books, day: DayRun, *, reason: str, count: int, amounts: Mapping[str, int], now: datetime
) -> None:
    """Tell that the bank refused payouts of the day for one reason."""
    event = PayoutsRejected(
        settlement_date=day.settlement_date,
        backfill_id=day.backfill_id,
        code=reason,
        count=count,
        amounts=_money(amounts),
    )
    books.outbox.record(event, now=now)


def payouts_answered(books: Books, on: date, *, now: datetime) -> None:
    """Tell that no payout of a date is unknown any more."""
    _over(books, on, problem="unknown", of=PayoutsUnknown, now=now)


def approval_needed(
    books: Books,
    day: DayRun,
    question: Mapping[str, Any],
    *,
    distributed: Mapping[str, int],
    usual: Sequence[Usual],
    largest: Sequence[PayoutLine],
    now: datetime,
) -> ApprovalNeeded:
    """Tell that the day's payouts wait for a second person, and return what is told."""
    event = ApprovalNeeded(
        settlement_date=day.settlement_date,
        backfill_id=day.backfill_id,
        run_id=day.run_id,
        batch=question["approval_id"],
        count=question["count"],
        amounts=_money(question["amounts"]),
        limits=_money(question["limits"]),
        distributed=_money(distributed),
        usual=tuple(usual),
        largest=tuple(largest),
        expires_at=datetime.fromisoformat(question["expires_at"]),
    )
    books.outbox.record(event, now=now)
    return event


def decided(
    books: Books,
    day: DayRun,
    what: type[ApprovalDone | TakingBackDone],
    approval_id: str,
    *,
    approved: bool,
    by: str,
    now: datetime,
) -> None:
    """Tell what a second person decided about the day's payouts, or about what a run would take back."""
    event = what(
        settlement_date=day.settlement_date,
        backfill_id=day.backfill_id,
        batch=approval_id,
        approved=approved,
        by=by,
        at=now,
    )
    books.outbox.record(event, now=now)


# ------------------------------------------------------------------------------------------------ breaks and inputs


def breaks_opened(books: Books, on: date, *, backfill_id: str | None, now: datetime) -> None:
    """Tell of the breaks that were opened on a date and stand, the largest of them one by one."""
    breaks = [b for b in books.breaks.open() if b.opened_on == on]
    if not breaks:
        return
    largest = sorted(breaks, key=lambda b: (-abs(b.amount or 0), b.break_id))
    sums: Counter[str] = Counter()
    for found in breaks:
        if found.currency:
            sums[found.currency] += abs(found.amount or 0)
    event = BreaksOpened(
        settlement_date=on,
        backfill_id=backfill_id,
        digest=digest(str(b.break_id) for b in breaks),
        count=len(breaks),
        unmatched=_money(sums),
        breaks=tuple(
            BreakLine(
                break_id=str(b.break_id),
                cause=b.cause,
                amount=Money(amount=b.amount or 0, currency=b.currency or ""),
                age_business_days=b.age_business_days,
                subject_kind=b.subject_kind,
                subject_id=b.subject_id,
            )
            for b in largest[:SHOWN_BREAKS]
        ),
        oldest_business_days=max(b.age_business_days for b in breaks),
        missing_payout_count=sum(b.cause == "missing_at_bank" and b.subject_kind == "payout" for b in breaks),
        doubled_payout_count=sum(_is_doubled_payout(b) for b in breaks),
    )
    books.outbox.record(event, now=now)


def input_late(books: Books, day: DayRun, source: str, *, expected_at: datetime, now: datetime) -> None:
    """Tell that something which the day needs has not come by when it was expected."""
    event = InputLate(
        settlement_date=day.settlement_date, backfill_id=day.backfill_id, source=source, expected_at=expected_at
    )
    books.outbox.record(event, now=now)


def input_came(books: Books, on: date, source: str, *, now: datetime) -> None:
    """Tell that what was late for a date is there."""
    _over(books, on, problem=f"input:{source}", of=InputLate, now=now)


def opening_absent(
    books: Books, day: DayRun, *, first_date: date, earlier: Sequence[EarlierReceipts], now: datetime
) -> None:
    """Tell that loans of the day were paid before the first date, of which nothing is known; nothing where none was."""
    if earlier:
        event = OpeningAbsent(
            settlement_date=day.settlement_date,
            backfill_id=day.backfill_id,
            first_date=first_date,
            loan_count=sum(row.loans for row in earlier),
            receipt_count=sum(row.receipts for row in earlier),
            amounts=_money({row.currency: row.amount for row in earlier}),
        )
        books.outbox.record(event, now=now)


def input_changed(
    services: Services, books: Books, on: date, source: str, findings: Sequence[Finding], *, now: datetime
) -> None:
    """Tell that what a settled date was computed from is no longer what it was."""
    amounts: Counter[str] = Counter()
    for found in findings:
        amounts[found.currency or ""] += found.amount or 0
    event = InputChanged(
        settlement_date=on,
        source=source,
        count=len(findings),
        amounts=_money(amounts),
        change="gone" if all(found.evidence["source"] == "gone" for found in findings) else "changed",
    )
    # A date that only a backfill has told of so far gets a message of its own, for this to stand below.
    books.outbox.record(replace(standing.completed(services, books, on), backfill_id=None), now=now)
    books.outbox.record(event, now=now)


def input_agrees(books: Books, on: date, source: str, *, now: datetime) -> None:
    """Tell that what a settled date was computed from is again what it was."""
    _over(books, on, problem=f"input:{source}", of=InputChanged, now=now)


# ------------------------------------------------------------------------------------- tasks, runs and backfills


def task_failed(services: Notifications, failure: TaskFailure, *, now: datetime) -> bool:
    """Record that a task failed for good, with the state of the day's money; False when that is on record already.

    Where it refused what its run was asked, only that is told.
    """
    if failure.is_refused:
        return _run_refused(services, failure, now=now)
    return _failed(services, failure, is_own_word=True, now=now)


def task_retry(services: Notifications, failure: TaskFailure, *, now: datetime) -> bool:
    """Record that a task failed and is tried again by itself."""
    with services.ledger.books() as books:
        event = TaskRetry(
            settlement_date=failure.settlement_date,
            backfill_id=_backfill_of(books, failure, now=now),
            run_id=failure.run_id,
            task=failure.task_id,
            map_index=failure.map_index,
            try_number=failure.try_number,
            code=failure.code,
            next_try_at=failure.next_try_at,
            log_url=failure.log_url,
        )
        is_new = books.outbox.record(event, now=now)
    deliver(services, now=now)
    return is_new


def run_failed(services: Notifications, failure: TaskFailure, *, left: Iterable[str] = (), now: datetime) -> bool:
    """Record that a run failed, where no task could say so itself: under the task's own key if the task is known.

    `left` are the backfill's runs that Airflow has still to end: where there are none, the backfill is over.
    """
    on, backfill_id = failure.settlement_date, None
    with services.ledger.books() as books:
        if books.outbox.is_told(_refusal(failure)):
            return False
    if on:
        with services.ledger.books(settlement_date=on) as books:
            found, run = books.days.find(on), books.days.run(failure.run_id)
            backfill_id = run.backfill_id if run else None
            if found and found.run_id == failure.run_id:
                day = DayRun(settlement_date=on, revision=max(1, found.revision), run_id=failure.run_id)
                books.days.end_run(day, outcome=f"failed: {failure.code}", now=now)
    is_new = _failed(services, failure, is_own_word=False, now=now)
    if backfill_id:
        end_backfill(services, backfill_id, left=left, now=now)
    return is_new


def _failed(services: Notifications, failure: TaskFailure, *, is_own_word: bool, now: datetime) -> bool:
    """Record a failure. The cause that a task has named itself is not overwritten by what its run's callback knows."""
    on = failure.settlement_date
    with services.ledger.books(settlement_date=on) as books:
        backfill_id = _backfill_of(books, failure, now=now)
        found = books.days.find(on) if on else None
        stopped = found if found and found.run_id == failure.run_id and not found.state.is_settled else None
        step = next((step for step in Step if failure.task_id.startswith(f"{step}.")), None)
        if stopped and step:
            progress = DayProgress(
                settlement_date=on, backfill_id=backfill_id, step=step, state=StepState.FAILED, at=now
            )
            books.outbox.record(progress, now=now)
        event = TaskFailed(
            settlement_date=on,
            backfill_id=backfill_id,
            run_id=failure.run_id,
            task=failure.task_id,
            map_index=failure.map_index,
            try_number=failure.try_number,
            code=failure.code,
            error=failure.error,
            money=_money_status(books, on),
            deadline_at=standing.deadline(services).of(on) if on else None,
            log_url=failure.log_url,
        )
        is_new = books.outbox.record(event, now=now)
        if stopped:
            said = f"{failure.task_id}: {failure.error[:300]}".removeprefix(": ")
            cause = said if is_own_word or is_new else stopped.failure or said
            books.days.set_state(stopped.settlement_date, DayState.FAILED, now=now, failure=cause)
    deliver(services, now=now)
    return is_new


def _run_refused(services: Notifications, failure: TaskFailure, *, now: datetime) -> bool:
    with services.ledger.books() as books:
        is_new = books.outbox.record(_refusal(failure), now=now)
    deliver(services, now=now)
    return is_new


def _refusal(failure: TaskFailure) -> RunRefused:
    return RunRefused(
        settlement_date=failure.settlement_date,
        run_id=failure.run_id,
        run_type=failure.run_type,
        try_number=failure.try_number,
        asked_by=failure.asked_by,
        error=failure.error.partition(": ")[2] or failure.error,
        log_url=failure.log_url,
    )


def end_backfill(services: Notifications, backfill_id: str, *, left: Iterable[str] = (), now: datetime) -> bool:
    """End a backfill and tell what it came to; False while a run of it is left.

    Two runs that end at the same time each find the other still running in Airflow; the books know that it has ended.
    """
    with services.ledger.books() as books:
        for run_id in left:
            run = books.days.run(run_id)
            if run is None or run.backfill_id != backfill_id or run.ended_at is None:
                return False
        came_to = books.backfills.end(backfill_id, now=now)
        event = BackfillSummary(
            settlement_date=None,
            backfill_id=backfill_id,
            ok_count=came_to.ok,
            changed_count=came_to.changed,
            failed_count=came_to.failed,
            difference_paid=_money(came_to.paid),
        )
        books.outbox.record(event, now=now)
    deliver(services, now=now)
    return True


def deliver(services: Notifications, *, now: datetime) -> None:
    """Try once, and for a few seconds at most, to send what waits; what does not go out now goes out later."""
    services.alerts.deliver(now=now, limit_seconds=LONGEST_DELIVERY_SECONDS)


def _over(books: Books, on: date, *, problem: str, of: type[Event], now: datetime) -> None:
    """Tell that a problem has ended; nothing happens where it was never told of."""
    books.outbox.record(Resolved(settlement_date=on, problem=problem, problem_event=of.name), now=now)


def _is_settled(books: Books, day: DayRun) -> bool:
    found = books.days.find(day.settlement_date)
    return day.dry_run or (found is not None and found.settled_at is not None)


def _is_doubled_payout(found: Break) -> bool:
    """Tell whether a break is a line that takes money for a payout which another line has shown already."""
    candidates = found.evidence.get("candidates", ())
    return found.cause == "duplicate_line" and any(candidate.startswith("payout:") for candidate in candidates)


def _backfill_of(books: NotifyingBooks, failure: TaskFailure, *, now: datetime) -> str | None:
    """Return the backfill in whose thread it is told: the run's own, or the one under way if it never opened."""
    run = books.days.run(failure.run_id)
    if run:
        return run.backfill_id
    return books.backfills.join(now=now) if failure.run_type == "backfill" else None


_MONEY_OF_A_DATE = (
    (MoneyState.UNKNOWN, (PayoutState.UNKNOWN,)),
    (MoneyState.SENT, (PayoutState.SUBMITTED, PayoutState.ACCEPTED, PayoutState.BOOKED, PayoutState.RETURNED)),
    (MoneyState.PREPARED, UNSENT),
    (MoneyState.REJECTED, (PayoutState.REJECTED,)),
)
_MONEY_UNDER_WAY = (
    (MoneyState.UNKNOWN, (PayoutState.UNKNOWN,)),
    (MoneyState.SENT, (PayoutState.SUBMITTED, PayoutState.ACCEPTED)),
)


def _money_status(books: NotifyingBooks, on: date | None) -> MoneyStatus:
    """Return how far the day's money has come, by the payouts that have come furthest into doubt.

    Without a date nothing was to be paid: then it is what the bank has of all dates and has not booked.
    """
    sums_by_state = books.days.payout_sums(on)
    for state, states in _MONEY_OF_A_DATE if on else _MONEY_UNDER_WAY:
        found = [sums for sums in sums_by_state if sums.state in states]
        if found:
            return MoneyStatus(state=state, count=sum(sums.count for sums in found), amounts=_totals(found))
    return MoneyStatus(state=MoneyState.NOT_STARTED if on else MoneyState.AT_REST)


def _totals(rows: Sequence[PayoutSum]) -> tuple[Money, ...]:
    """Return the amounts of rows, summed by currency."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row.currency] += row.amount
    return _money(sums)


def _money(amounts: Mapping[str, int]) -> tuple[Money, ...]:
    """Return amounts by currency as events carry them, in the order of the currencies."""
    return tuple(Money(amount=amount, currency=currency) for currency, amount in sorted(amounts.items()))
