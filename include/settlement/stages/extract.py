"""Freezing what a run sees: the facts of the source and the positions of the books."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import structlog

from settlement.domain import frames
from settlement.domain.alerts.day import Step
from settlement.domain.breaks import Finding
from settlement.domain.computation import source_changes
from settlement.domain.days import LookBack, Window, Windows
from settlement.domain.errors import InvalidFrame, NotYet, Refused
from settlement.domain.frames import Inputs
from settlement.ports.books import Books
from settlement.ports.breaks import Break
from settlement.ports.days import DayRun
from settlement.ports.inputs import BookedInputs
from settlement.ports.outcomes import Frozen, Seen
from settlement.ports.services import Services
from settlement.ports.source import EarlierReceipts, Facts, SourceSnapshot
from settlement.stages import notify, opening, standing

log = structlog.get_logger(__name__)

SOURCE = "lending_core"
CAUSES = ("source_changed", "late_arrival_too_old")
WAITS_FOR_OLDER = timedelta(hours=6)
"""A scheduled run waits at least so long for older dates: an outage is caught up long after their deadlines."""
USUALLY = 5
"""After so many settlement dates with repayments, one without any is told of: the source may be late."""


def freeze_inputs(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Freeze the day's facts and positions, unless its revision is computed already; return their hash and size.

    They are read in one snapshot of the books and kept in a transaction after it. What is posted in between makes them
    stale, and `distribute` freezes them again.

    Raises NotYet: the run is a scheduled one, and an older date whose run has begun is not posted yet.
    Raises Refused: it has not been posted in time.
    """
    if day.dry_run and (said := _dry_opening(services, day, now=now)):
        return said
    taken_over = {} if day.dry_run else opening.take_over(services, day, now=now)
    with services.ledger.books(day=day, read_only=True) as books:
        is_computed = books.outcomes.is_computed(day)
        if is_computed:
            changed = _changed_since(services, books, day)
        else:
            _wait_for_older(services, books, day, now=now)
            seen = see(services, books, day)
            first_date = services.calendar.first or min([day.settlement_date, *books.days.settled()])
            is_opened = books.opening.find() is not None
    if is_computed:
        return _look_again(services, day, changed, now=now)
    inputs, earlier = seen.inputs, list[EarlierReceipts]()
    totals: dict[str, Any] = _sizes(inputs) | ({"opening": taken_over} if taken_over else {})
    if not is_opened:
        with services.core.snapshot() as source:
            opens_at = services.calendar.window(first_date).from_at
            earlier = source.received_before(opens_at, inputs.loans["loan_id"].tolist())
    if earlier:
        log.warning("opening_absent", settlement_date=day.settlement_date.isoformat(), first_date=str(first_date))
        totals |= {"receipts_before_the_first_date": sum(row.receipts for row in earlier)}
    if day.dry_run:
        return totals | {"dry_run": True}
    with services.ledger.books(day=day) as books:
        if books.outcomes.is_computed(day):  # by another process meanwhile, from what it saw
            return {"already": "computed"}
        frozen = freeze(services, books, day, seen, now=now)
        is_newest = books.days.is_newest(day.settlement_date)
        _keep_changes(services, books, day, seen.changed, is_whole=is_newest, now=now)
        _tell_of_late(services, books, day, inputs, now=now)
        notify.opening_absent(books, day, first_date=first_date, earlier=earlier, now=now)
        notify.day_started(services, books, day, expected=_expected(inputs), count=len(inputs.repayments), now=now)
        notify.step_done(books, day, Step.EXTRACT, row_count=len(inputs.repayments), now=now)
        return totals | {"input_sha256": frozen.input_sha256}


def _sizes(inputs: Inputs) -> dict[str, Any]:
    return {"repayments": len(inputs.repayments), "loans": len(inputs.loans), "notes": len(inputs.notes)}


def _dry_opening(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Return what the first run of any date would take over and see, in a transaction of which nothing remains."""
    with services.ledger.books(read_only=True) as books:
        opening.check(books, day)
        if not opening.is_awaited(books):
            return {}
    with services.ledger.books(day=day, posting=True, is_kept=False) as books:
        taken_over = opening.take(services, books, now=now)
        if not taken_over:
            return {}
        return _sizes(see(services, books, day).inputs) | {"opening": taken_over, "dry_run": True}


def _changed_since(services: Services, books: Books, day: DayRun) -> list[Finding]:
    """Return what the source says otherwise by now of the windows that a run of a settled date looks at."""
    windows = Windows(services.calendar, books.days.windows())
    with services.core.snapshot() as source:
        _, changed = _compare(windows, look_back_of(services, books), books.inputs, source, day.settlement_date)
    return changed


def _look_again(services: Services, day: DayRun, changed: Sequence[Finding], *, now: datetime) -> dict[str, Any]:
    """Keep what the source says otherwise than when it was taken; whether the date changes is looked at later."""
    if changed and not day.dry_run:
        with services.ledger.books(day=day) as books:
            _keep_changes(services, books, day, changed, is_whole=False, now=now)
    return {"already": "computed"}


def _keep_changes(
    services: Services, books: Books, day: DayRun, changed: Sequence[Finding], *, is_whole: bool, now: datetime
) -> None:
    """Tell of what the source says otherwise, and keep it as breaks; the whole of it ends the others."""
    _tell_of_changes(services, books, changed, is_whole=is_whole, now=now)
    books.breaks.sync(
        [*changed, *_beyond(services, books)],
        causes=CAUSES,
        on=day.settlement_date,
        calendar=services.calendar,
        now=now,
        sees=None if is_whole else frozenset(),
    )


def _wait_for_older(services: Services, books: Books, day: DayRun, *, now: datetime) -> None:
    """Let a scheduled run settle nothing before the older dates whose runs have begun, or those could not follow it.

    What would be no break `date_not_settled`, or one that somebody has answered for, is not waited for.

    Raises NotYet: one of them is not posted yet; it is waited for until the date's deadline, or six hours if that is
        later, as it is after an outage.
    Raises Refused: it has not been posted by then.
    """
    run, begun = books.days.run(day.run_id), books.days.begun_before(day.settlement_date)
    if day.run_type != "scheduled" or day.dry_run or run is None or not begun:
        return
    since = services.calendar.first or min(books.days.settled() or begun)
    answered = {subject for cause, _, subject, _ in books.breaks.answered() if cause == "date_not_settled"}
    older = [
        on
        for on in services.calendar.days_between(since, day.settlement_date)
        if on in begun and on.isoformat() not in answered
    ]
    if not older:
        return
    until = max(standing.deadline(services).of(day.settlement_date), run.started_at + WAITS_FOR_OLDER)
    said = f"[{day.settlement_date}] waits for [{older[0]}], whose run has begun and has posted nothing"
    if now < until:
        raise NotYet(f"{said}; it is waited for until [{until.isoformat()}]", until=until)
    raise Refused(
        f"{said}. Mend what stops [{older[0]}] and let its run go on, then clear this task. A run of"
        f" [{day.settlement_date}] by hand goes before it, and [{older[0]}] is then a break date_not_settled: once that"
        " is answered for, later dates wait for it no longer"
    )


def _tell_of_changes(
    services: Services, books: Books, changed: Sequence[Finding], *, is_whole: bool, now: datetime
) -> None:
    """Tell of the settled days whose repayments the source now says otherwise, and of those that it no longer does."""
    windows, look_back = Windows(services.calendar, books.days.windows()), look_back_of(services, books)
    by_date: dict[date, list[Finding]] = defaultdict(list)
    for found in changed:
        if found.cause == "source_changed":
            by_date[windows.date_of(found.evidence["taken"]["received_at"])].append(found)
    told = {on for on, _ in _known_changes(windows, books) if look_back.reaches(on)}
    for on, findings in sorted(by_date.items()):
        notify.input_changed(services, books, on, SOURCE, findings, now=now)
    for on in sorted(told - by_date.keys() if is_whole else ()):
        notify.input_agrees(books, on, SOURCE, now=now)


def _beyond(services: Services, books: Books) -> list[Finding]:
    """Return what the source said otherwise before the look-back: nobody compares it any more, and it stays a break."""
    windows, look_back = Windows(services.calendar, books.days.windows()), look_back_of(services, books)
    return [
        Finding(
            cause=known.cause,
            subject_kind=known.subject_kind,
            subject_id=known.subject_id,
            currency=known.currency,
            amount=known.amount,
            evidence=known.evidence,
        )
        for on, known in _known_changes(windows, books)
        if not look_back.reaches(on)
    ]


def _known_changes(windows: Windows, books: Books) -> list[tuple[date, Break]]:
    """Return the breaks that say that the source has changed, each with the settlement date of its window."""
    return [
        (windows.date_of(datetime.fromisoformat(known.evidence["taken"]["received_at"])), known)
        for known in books.breaks.open()
        if known.cause == "source_changed"
    ]


def look_back_of(services: Services, books: Books) -> LookBack:
    """Return how far back the source is compared with the books as they stand."""
    return LookBack(days=services.policy.source.look_back_days, newest=max(books.days.settled(), default=None))


def _tell_of_late(services: Services, books: Books, day: DayRun, inputs: Inputs, *, now: datetime) -> None:
    """Tell of a window in which nothing came although money came in each of the ones before, and of what came since."""
    windows = Windows(services.calendar, books.days.windows())
    window, received = windows.of(day.settlement_date), inputs.repayments["received_at"]
    came = {windows.date_of(at) for at in received[received < window.from_at]}
    for on in sorted(came | ({day.settlement_date} if len(received) else set())):
        notify.input_came(books, on, SOURCE, now=now)
    before = day.settlement_date
    for _ in range(USUALLY):
        before = services.calendar.calendar.previous_business_day(before)
        if not any(row.repayment_count for row in books.days.totals(before)):
            return
    if received.empty:
        notify.input_late(books, day, SOURCE, expected_at=window.until_at_exclusive, now=now)


def _expected(inputs: Inputs) -> dict[str, int]:
    """Return the money that the run takes up, by currency; reversals lessen it."""
    currency = inputs.repayments["loan_id"].map(inputs.loans.set_index("loan_id")["currency"])
    is_reversal = inputs.repayments["reverses_repayment_id"].notna()
    amounts = inputs.repayments["amount"].where(~is_reversal, -inputs.repayments["amount"])
    return {str(name): sum(of_currency.tolist()) for name, of_currency in amounts.groupby(currency)}


def see(services: Services, books: Books, day: DayRun) -> Seen:
    """Return the day's inputs as the source and the books stand now.

    The books' transaction is a snapshot, or holds the lock under which everything is posted. The number of the books is
    read before all else, so that in any other transaction the inputs would pass for older than they are: never newer.
    """
    on, books_version = day.settlement_date, books.outcomes.version()
    with services.core.snapshot() as source:
        windows = Windows(services.calendar, books.days.windows())
        facts, changed = read_facts(windows, look_back_of(services, books), books, source, on)
    return Seen(inputs=books.inputs.see(on, facts), books_version=books_version, changed=changed)


def read_facts(
    windows: Windows, look_back: LookBack, books: Books, source: SourceSnapshot, on: date
) -> tuple[Facts, list[Finding]]:
    """Return the source's side of the day's inputs, and what it says otherwise than when it was taken.

    What was taken over and no run has taken is a late arrival, as it was taken over.
    """
    booked = books.inputs
    received, changed = _compare(windows, look_back, booked, source, on)
    repayments = source_changes.new(received, booked.known(received["repayment_id"].tolist()))
    if again := source_changes.unchanged(booked.quarantined(on), changed):
        tried = source.repayments(again)
        has_come = tried["received_at"] < windows.calendar.window(on).until_at_exclusive
        repayments = pd.concat([repayments, tried[has_come]], ignore_index=True)
    repayments = pd.concat([repayments, books.opening.receipts()], ignore_index=True)
    refunds = opening.refunds_of_ours(books, source.refunds(windows.of(on).until_at_exclusive))
    refunds = refunds[~refunds["refund_id"].isin(booked.refunded(on, refunds["refund_id"].tolist()))]
    found = source.loans(sorted({*repayments["loan_id"], *booked.credit_loans(on), *refunds["loan_id"]}))
    settled_in = booked.currencies(found["loan_id"].tolist())
    loans, repayments, in_another = source_changes.hold_to_currency(found, repayments, settled_in)
    is_waiting = refunds["loan_id"].isin(set(found["loan_id"]) - set(loans["loan_id"]))

    facts = replace(
        facts_of(source, loans),  # what belongs to a loan that does not exist is nobody's
        repayments=repayments,
        originals=source.repayments(repayments["reverses_repayment_id"].dropna().unique().tolist()),
        refunds=refunds[~is_waiting].reset_index(drop=True),
    )
    return facts, changed + in_another


def _compare(
    windows: Windows, look_back: LookBack, booked: BookedInputs, source: SourceSnapshot, on: date
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return what came in the day's window and in those that differ, and what the source says otherwise of these.

    A settled window is read again only if the source's count or digest of it differs from the books': what the books
    lack is late, what differs has changed at the source. What was taken and lies in none of these windows is asked for
    by its id: only what is nowhere is gone. Of a window before the look-back nothing is compared, for the source may
    have archived it; what it shows there that nobody has taken came too late.
    """
    pieces = windows.pieces([*booked.settled_before(on), on])
    of_day, end = pieces.pop(on), windows.of(on).until_at_exclusive
    digests = source.digests(source_changes.boundaries(pieces))
    differing = source_changes.windows_that_differ(pieces, source=digests, taken=booked.digests())
    compared = [settled for settled in differing if look_back.reaches(settled)]
    late = [window for settled in compared for window in pieces[settled]]
    received = source.received([*late, *of_day] or [Window(end, end)])
    taken = booked.taken([*compared, on])
    if elsewhere := sorted({*taken["repayment_id"]} - {*received["repayment_id"]}):
        changed = source_changes.changed(taken, pd.concat([received, source.repayments(elsewhere)], ignore_index=True))
    else:
        changed = source_changes.changed(taken, received)
    older = [window for settled in differing if settled not in compared for window in pieces[settled]]
    changed += _too_old(booked, source, [window for window in older if window.from_at in digests])
    return received, changed


def facts_of(source: SourceSnapshot, loans: pd.DataFrame) -> Facts:
    """Return what the source says of loans, without money that comes or goes."""
    notes, holdings = source.positions(loans["loan_id"])
    return Facts(
        loans=loans,
        notes=notes,
        holdings=holdings,
        investors=source.investors(holdings["investor_id"]),
        receivables=source.receivables(loans["loan_id"].tolist()),
        repayments=frames.build(frames.REPAYMENTS).drop(columns="state"),
        originals=frames.build(frames.REPAYMENTS).drop(columns="state"),
        refunds=frames.build(frames.REFUNDS).drop(columns="state"),
    )


def _too_old(booked: BookedInputs, source: SourceSnapshot, windows: Sequence[Window]) -> list[Finding]:
    """Return what the source shows of windows before the look-back and no run has taken."""
    if not windows:
        return []
    shown = source.received(windows)
    unknown = source_changes.new(shown, booked.known(shown["repayment_id"].tolist()))
    loans = source.loans(sorted({*unknown["loan_id"]}))
    return source_changes.too_old(unknown, dict(zip(loans["loan_id"], loans["currency"], strict=True)))


def freeze(services: Services, books: Books, day: DayRun, seen: Seen, *, now: datetime) -> Frozen:
    """Keep the inputs in the snapshot store, and put their hash on record with the number that was read with them."""
    with usable_source(day):
        input_sha256 = services.snapshots.freeze(snapshot_name(day), seen.inputs)
    return books.outcomes.keep_frozen(day, input_sha256, books_version=seen.books_version, now=now)


@contextmanager
def usable_source(day: DayRun) -> Iterator[None]:
    """Turn a frame that breaks its specification into a refusal: the source's views break their contract."""
    try:
        yield
    except InvalidFrame as invalid:
        raise Refused(
            f"The source cannot be used for [{day.settlement_date}]: {invalid}. Mend the source, then clear the task"
        ) from invalid


def snapshot_name(day: DayRun) -> str:
    """Return the name under which the revision's frozen inputs are kept."""
    return f"{day.settlement_date.isoformat()}-r{day.revision}"
