"""How the day stands, said once in the books, once to people, and in the same numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog

from settlement.domain.alerts import (
    STEPS,
    BackfillSummary,
    BreakTotal,
    ControlBroken,
    CurrencyTotals,
    DayCompleted,
    DayProgress,
    DayStarted,
    MatchTotals,
    Money,
    MoneyStatus,
    PayoutTotals,
    Step,
    TaskFailed,
    TaskRetry,
)
from settlement.domain.errors import Broken, Refused
from settlement.ports.books import Books, TellingBooks
from settlement.ports.days import BadEnd, DayRun
from settlement.ports.services import Services, Telling

if TYPE_CHECKING:
    pass

TOTALS = (
    "repayment_count",
    "received_amount",
    "distributed_amount",
    "fee_amount",
    "vat_amount",
    "national_tax_amount",
    "local_tax_amount",
    "cost_amount",
    "credit_amount",
    "quarantined_amount",
)
SETTLED = ("settled", "settled_with_breaks", "closed")

log = structlog.get_logger(__name__)


def started(
    services: Services, books: Books, day: DayRun, *, expected: Mapping[str, int], count: int, now: datetime
) -> None:
    """Tell people that a run took the settlement date on, and what it expects to settle."""
    if services.alerts and not _is_settled(books, day):
        services.alerts.record(
            books.transaction,
            DayStarted(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                revision=day.revision,
                run_id=day.run_id,
                repayment_count=count,
                expected=tuple(
                    Money(amount=amount, currency=currency) for currency, amount in sorted(expected.items())
                ),
                deadline_at=_deadline(services, day.settlement_date),
            ),
            now=now,
        )


def done(services: Services, books: Books, day: DayRun, step: Step, *, row_count: int, now: datetime) -> None:
    """Tell people that a step of the day has ended; a day that is settled already is not told of again."""
    if services.alerts and not _is_settled(books, day):
        services.alerts.record(
            books.transaction,
            DayProgress(
                settlement_date=day.settlement_date,
                backfill_id=day.backfill_id,
                revision=day.revision,
                run_id=day.run_id,
                step=step,
                state="done",
                at=now,
                row_count=row_count,
            ),
            now=now,
        )


def _is_settled(books: Books, day: DayRun) -> bool:
    found = books.days.find(day.settlement_date)
    return day.dry_run or (found is not None and found["settled_at"] is not None)


def report(
    services: Services, day: DayRun, *, computed: Mapping[str, Any] | None = None, now: datetime
) -> dict[str, Any]:
    """Say how the day ended: its state in the books, its totals to people, and the end of its run.

    A dry run has a report of its own: `computed` is what it computed, and nothing of it was booked.
    """
    if day.dry_run:
        return dry_run(services, day, computed=computed or {}, now=now)
    with services.ledger.books(day=day, posting=True) as books:
        before = books.days.find(day.settlement_date)
        assert before is not None
        breaks = books.breaks.open()
        waiting = books.payouts.find(day.settlement_date, states=("prepared", "approved"))
        state = before["state"]
        # What other days opened or closed since is theirs to tell: a settled day that this run paid nothing for stays.
        already = before["settled_at"] is not None and state in SETTLED and not books.payouts.has_paid(day.run_id)
        if day.transfer and state != "closed" and not waiting and not already:
            state = "settled_with_breaks" if breaks or _has_unknown(books, day.settlement_date) else "settled"
            books.days.set_state(day.settlement_date, state, now=now)
        books.days.end_run(day, outcome="already_settled" if already else state, now=now)
        standing = status(services, books, day.settlement_date)
        if services.alerts and (day.backfill_id or not already):  # a backfill shows each of its days
            services.alerts.record(books.transaction, completed(services, books, day.settlement_date), now=now)
            if not day.backfill_id:  # a backfill's thread is about many days, and shows each as a row
                _attach_totals(services, books, day, now=now)
    return standing | {"already_settled": already}


def dry_run(services: Services, day: DayRun, *, computed: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Say what a dry run computed: what would change and be owed; nothing was booked, paid or sent.

    A run that is run again keeps the conf that its creation brought (Airflow takes no other over), and says so.
    """
    said: dict[str, Any] = {
        "settlement_date": day.settlement_date.isoformat(),
        "dry_run": True,
        "said": f"DRY RUN of [{day.settlement_date}]: nothing was settled, booked or paid",
        "totals": computed.get("totals", {}),
        "owed": computed.get("owed", {}),
    }
    if day.kept_conf:
        said["kept_conf"] = day.kept_conf
        said["said"] += (
            f". This run was run again and keeps the conf of its creation, {day.kept_conf}. To settle the date, start"
            """ the backfill with --dag-run-conf '{"dry_run": false}'"""
        )
    log.warning("dry_run", **said)
    return said


def _attach_totals(services: Services, books: Books, day: DayRun, *, now: datetime) -> None:
    """Put the sheets of the day that name nobody into its thread; what cannot be made of them stops nothing."""
    # Callbacks import this module to tell of a failure, and what writes sheets is slow to import.
    from settlement.stages import day_report

    assert services.alerts is not None
    on = day.settlement_date
    try:
        totals = day_report.totals_of_day(services, books, on)
    except Refused as refused:
        log.warning("report_not_attached", settlement_date=on.isoformat(), reason=str(refused))
        return
    services.alerts.attach(
        books.transaction,
        settlement_date=on,
        key=f"sheets:{totals.revision}",
        name=f"{totals.name}.xlsx",
        title=f"{on.isoformat()} r{totals.revision}",
        content=services.write_report(totals),
        now=now,
    )


def status(services: Services, books: Books, on: date) -> dict[str, Any]:
    """Return where a settlement date stands, as plain JSON values: state, totals by currency, payouts, breaks."""
    found = books.days.find(on)
    return {
        "settlement_date": on.isoformat(),
        "state": found["state"] if found else "absent",
        "revision": found["revision"] if found else 0,
        "failure": found["failure"] if found else None,
        "totals": {row["currency"]: {name: int(row[name]) for name in TOTALS} for row in books.days.totals(on)},
        "payouts": {
            f"{sums['currency']} {sums['state']}": {"count": sums["count"], "amount": sums["amount"]}
            for sums in books.days.payout_sums(on)
        },
        "breaks": [
            {
                "break_id": b["break_id"],
                "cause": b["cause"],
                "subject": f"{b['subject_kind']} {b['subject_id']}",
                "currency": b["currency"],
                "amount": b["amount"],
                "opened_on": b["opened_on"].isoformat(),
                "age_business_days": b["age_business_days"],
            }
            for b in books.breaks.open()
        ],
        "now_is_set": services.is_now_set,
    }


def control_broken(
    services: Services, on: date, broken: Broken, *, backfill_id: str | None = None, now: datetime
) -> Refused:
    """Record that a control stopped the day, and return the refusal to raise: trying again would break it again."""
    with services.ledger.books() as books:
        books.days.note_controls(on, [broken.control], is_held=False, now=now)
        if services.alerts:
            services.alerts.record(
                books.transaction,
                ControlBroken(
                    settlement_date=on, backfill_id=backfill_id, control=broken.control, problem=broken.problem
                ),
                now=now,
            )
    if services.alerts:
        services.alerts.deliver(now=now, limit_seconds=5)
    return Refused(str(broken))


def task_failed(services: Telling, end: BadEnd, *, now: datetime) -> bool:
    """Record that a task failed for good, with the state of the day's money; False when that is on record already."""
    if services.alerts is None:
        return False
    on = end.settlement_date
    with services.ledger.books(settlement_date=on) as books:
        backfill_id = _backfill_of(books, end, now=now)
        found = books.days.find(on) if on else None
        if on and found and found["run_id"] == end.run_id and found["state"] not in SETTLED:
            books.days.set_state(on, "failed", now=now, failure=f"{end.task_id}: {end.error[:300]}")
            if step := next((step for step in STEPS if end.task_id.startswith(f"{step}.")), None):
                services.alerts.record(
                    books.transaction,
                    DayProgress(settlement_date=on, backfill_id=backfill_id, step=step, state="failed", at=now),
                    now=now,
                )
        recorded = services.alerts.record(
            books.transaction,
            TaskFailed(
                settlement_date=on,
                backfill_id=backfill_id,
                run_id=end.run_id,
                task=end.task_id,
                map_index=end.map_index,
                try_number=end.try_number,
                code=end.code,
                error=end.error,
                money=_money_state(books, on) if on else MoneyStatus(state="not_started"),
                deadline_at=_deadline(services, on) if on else None,
                log_url=end.log_url,
            ),
            now=now,
        )
    services.alerts.deliver(now=now, limit_seconds=5)
    return recorded


def task_retry(services: Telling, end: BadEnd, *, now: datetime) -> bool:
    """Record that a task failed and is tried again by itself."""
    if services.alerts is None:
        return False
    with services.ledger.books() as books:
        recorded = services.alerts.record(
            books.transaction,
            TaskRetry(
                settlement_date=end.settlement_date,
                backfill_id=_backfill_of(books, end, now=now),
                run_id=end.run_id,
                task=end.task_id,
                map_index=end.map_index,
                try_number=end.try_number,
                code=end.code,
                next_try_at=end.next_try_at,
                log_url=end.log_url,
            ),
            now=now,
        )
    services.alerts.deliver(now=now, limit_seconds=5)
    return recorded


def run_failed(services: Telling, end: BadEnd, *, left: Iterable[str] = (), now: datetime) -> bool:
    """Record that a run failed, where no task could say so itself: under the task's own key if the task is known.

    `left` are the backfill's runs that Airflow has still to end: where there are none, the backfill is over.
    """
    on, backfill_id = end.settlement_date, None
    if on:
        with services.ledger.books(settlement_date=on) as books:
            found, run = books.days.find(on), books.days.run(end.run_id)
            backfill_id = str(run["backfill_id"]) if run and run["backfill_id"] else None
            if found and found["run_id"] == end.run_id:
                day = DayRun(settlement_date=on, revision=max(1, found["revision"]), run_id=end.run_id)
                books.days.end_run(day, outcome=f"failed: {end.code}", now=now)
                if found["state"] not in SETTLED:
                    books.days.set_state(on, "failed", now=now, failure=found["failure"] or end.error)
    recorded = task_failed(services, end, now=now)
    if backfill_id:
        end_backfill(services, backfill_id, left=left, now=now)
    return recorded


def end_backfill(services: Telling, backfill_id: str, *, left: Iterable[str] = (), now: datetime) -> bool:
    """End a backfill and tell what it came to; False while a run of it is left.

    Two runs that end at the same time each find the other still running in Airflow; the books know that it has ended.
    """
    with services.ledger.books() as books:
        for run_id in left:
            run = books.days.run(run_id)
            if run is None or str(run["backfill_id"]) != backfill_id or run["ended_at"] is None:
                return False
        came_to = books.backfills.end(backfill_id, now=now)
        if services.alerts:
            services.alerts.record(
                books.transaction,
                BackfillSummary(
                    settlement_date=None,
                    backfill_id=backfill_id,
                    ok_count=came_to["ok"],
                    changed_count=came_to["changed"],
                    failed_count=came_to["failed"],
                    difference_paid=tuple(Money(amount=a, currency=c) for c, a in came_to["paid"].items()),
                ),
                now=now,
            )
    if services.alerts:
        services.alerts.deliver(now=now, limit_seconds=5)
    return True


def _backfill_of(books: TellingBooks, end: BadEnd, *, now: datetime) -> str | None:
    """Return the backfill in whose thread the end is told: the run's own, or the one under way if it never opened."""
    run = books.days.run(end.run_id)
    if run:
        return str(run["backfill_id"]) if run["backfill_id"] else None
    return books.backfills.join(now=now) if end.run_type == "backfill" else None


def completed(services: Services, books: Books, on: date) -> DayCompleted:
    """Return what a date came to, as the books stand: what its message says, in Slack and in the terminal."""
    found = books.days.find(on)
    if found is None:
        return DayCompleted(settlement_date=on, state="none")
    run = books.days.run(found["run_id"])
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    kinds = {
        "booked": "paid",
        "returned": "rejected",
        "rejected": "rejected",
        "unknown": "unknown",
    }
    for of_state in books.days.payout_sums(on):
        kind = kinds.get(of_state["state"], "in_transit")
        sums[of_state["currency"]][f"{kind}_count"] += of_state["count"]
        sums[of_state["currency"]][f"{kind}_amount"] += of_state["amount"]
    for hold in books.payouts.holds():
        sums[hold["currency"]]["held_count"] += 1
        sums[hold["currency"]]["held_amount"] += hold["amount"]
    held = books.days.controls_of(on)
    by_cause: dict[tuple[str, str], list[int]] = defaultdict(list)
    for opened in books.breaks.open():
        by_cause[(opened["cause"], opened["currency"] or "")].append(abs(opened["amount"] or 0))
    return DayCompleted(
        settlement_date=on,
        backfill_id=str(run["backfill_id"]) if run and run["backfill_id"] else None,
        revision=max(1, found["revision"]),
        run_id=found["run_id"],
        state=found["state"],
        completed_at=found["settled_at"],
        deadline_at=_deadline(services, on),
        totals=tuple(
            CurrencyTotals(currency=row["currency"], **{name: int(row[name]) for name in TOTALS})
            for row in books.days.totals(on)
        ),
        payouts=tuple(PayoutTotals(currency=currency, **amounts) for currency, amounts in sorted(sums.items())),
        matches=tuple(MatchTotals(**row) for row in books.bank_lines.match_totals(on)),
        breaks=tuple(
            BreakTotal(cause=cause, count=len(amounts), amount=Money(amount=sum(amounts), currency=currency))
            for (cause, currency), amounts in sorted(by_cause.items())
        ),
        controls_passed=sum(held.values()),
        controls_total=len(held),
    )


def _has_unknown(books: Books, on: date) -> bool:
    return bool(books.payouts.find(on, states=("unknown",)))


def _money_state(books: TellingBooks, on: date) -> MoneyStatus:
    """How far the day's money has come, by the payout that has come furthest into doubt."""
    of_day = books.days.payout_sums(on)
    for state, states in (
        ("unknown", ("unknown",)),
        ("sent", ("submitted", "accepted", "booked", "returned")),
        ("prepared", ("prepared", "approved")),
        ("rejected", ("rejected",)),
    ):
        found = [sums for sums in of_day if sums["state"] in states]
        if found:
            amounts: dict[str, int] = defaultdict(int)
            for sums in found:
                amounts[sums["currency"]] += sums["amount"]
            return MoneyStatus(
                state=state,  # type: ignore[arg-type]
                count=sum(sums["count"] for sums in found),
                amounts=tuple(Money(amount=a, currency=c) for c, a in sorted(amounts.items())),
            )
    return MoneyStatus(state="not_started")


def _deadline(services: Telling, on: date) -> datetime:
    zone = ZoneInfo(services.policy.timezone)
    return datetime.combine(
        on + timedelta(days=1), time.fromisoformat(services.policy.deadlines.settled_by), tzinfo=zone
    )
