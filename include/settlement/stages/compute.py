"""Computing a day from its frozen inputs, and posting what came out: one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from typing import Any

import pandas as pd
import structlog

from settlement.domain import controls, frames, pipeline
from settlement.domain.alerts.day import Step
from settlement.domain.books.accounts import INVESTOR_PAYABLE
from settlement.domain.breaks import Finding
from settlement.domain.computation import arrivals, settle
from settlement.domain.days import Windows
from settlement.domain.errors import Broken, BrokenInvariant, Refused
from settlement.domain.frames import Inputs, Outcome
from settlement.ports.books import Books
from settlement.ports.days import DayRun, DayTotals, RunRequest
from settlement.ports.services import Services
from settlement.stages import extract, notify, opening, restate, standing

log = structlog.get_logger(__name__)

LOGGED_CHANGES = 200
"""So many lines of what a dry run would change go into the log of its task."""

CAUSES = ("quarantined", "bad_reversal", "before_opening", "orphan_repayment", "overpaid", "refund_exceeds_credit")


def distribute(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Compute and post the day's money, once; return its totals by currency. A dry run posts and tells nothing.

    Raises Refused: an invariant does not hold: nothing is posted, a critical alert names the control, and the revision
    of a date that is settled stands.
    Raises Broken: the same of a dry run.
    """
    if day.dry_run:
        return _dry_run(services, day, now=now)
    try:
        return _distribute(services, day, now=now)
    except Broken as broken:
        raise notify.distribution_broken(services, day, broken, now=now) from broken
    except BrokenInvariant as impossible:
        found = Broken("arithmetic", str(impossible))
        raise notify.distribution_broken(services, day, found, now=now) from impossible


def _distribute(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Settle the day, or settle it again where its facts have changed; return its totals by currency.

    Raises Broken: an invariant does not hold; nothing is posted.
    Raises Refused: what was settled would change, and nobody said why.
    """
    if _stands(services, day):
        with services.ledger.books(day=day) as books:
            return _summary(books.days.totals(day.settlement_date)) | {"already": "computed"}
    with services.ledger.books(day=day, posting=True) as books:
        was_computed = books.outcomes.is_computed(day)
        restated = _settle_or_again(services, books, day, now=now)
        computed = _summary(books.days.totals(day.settlement_date)) | _changed(restated)
        return computed | ({"already": "computed"} if was_computed and not restated.revisions else {})


def _stands(services: Services, day: DayRun) -> bool:
    """Tell whether the date is settled and its facts are what it saw: asked outside the lock, as it mostly is so.

    One that the look-back does not reach any more stands, whatever the source says: it may have archived its rows.
    """
    on = day.settlement_date
    with services.ledger.books(read_only=True) as books:
        if not books.outcomes.is_computed(day):
            return False
        return not extract.look_back_of(services, books).reaches(on) or not restate.loans_changed(services, books, on)


def _settle_or_again(services: Services, books: Books, day: DayRun, *, now: datetime) -> restate.Restated:
    """Settle the date, or the loans of a settled one whose facts changed, and tell what that changed of settled dates.

    Raises Refused: what was settled would change, and nobody said why, or nobody approved what is taken back.
    """
    if not books.outcomes.is_computed(day):
        restated = _settle(services, books, day, now=now)
    else:
        restated = restate.settle_again(services, books, day, now=now)
        _sync(services, books, day, restated, now=now)
    restate.require_approval(books, day, restated, now=now)
    if restated.revisions and not day.dry_run:
        notify.day_restated(
            books,
            day,
            restated.revisions,
            reason=restated.why.reason,
            by=restated.why.by,
            difference=restated.difference,
            taken_back=restated.taken_back,
            now=now,
        )
    return restated


def _changed(restated: restate.Restated) -> dict[str, Any]:
    """Return what was settled and has changed: the revision of each such date, and the net difference by currency."""
    if not restated.revisions:
        return {}
    return {
        "restated": {on.isoformat(): revision for on, revision in restated.revisions.items()},
        "difference": restated.difference,
        "taken_back": restated.taken_back,
    }


def _settle(services: Services, books: Books, day: DayRun, *, now: datetime) -> restate.Restated:
    """Apply, divide, charge, tax and book the day's money, once; return what that changed on later dates.

    Inputs that were read before another day was posted are read and frozen again, under the lock under which everything
    is posted, so that positions are never stale; the database refuses them otherwise. Where later dates are settled,
    the day comes before them: the loans that have money on it are run again on these.

    Raises Broken: an invariant does not hold; nothing is posted.
    """
    on = day.settlement_date
    later = [settled for settled in books.days.settled() if settled > on]
    if later and not (look_back := extract.look_back_of(services, books)).reaches(on):
        raise Refused(
            f"[{on}] cannot be settled any more: it lies more than the policy's source.look_back_days"
            f" [{look_back.days}] before [{later[-1]}], and dates from before that are not run again"
        )
    loans = restate.loans_of_late_date(services, books, on) if later else []
    if later:
        books.replays.lift(loans, since=on)
    frozen = books.outcomes.frozen(day)
    if later or frozen is None or frozen.books_version != books.outcomes.version():
        frozen = extract.freeze(services, books, day, extract.see(services, books, day), now=now)
    inputs = services.snapshots.load(extract.snapshot_name(day), input_sha256=frozen.input_sha256)

    windows = Windows(services.calendar, books.days.windows())
    findings: list[Finding] = []
    with books.outcomes.posting(
        day,
        policy=services.policy,
        input_sha256=frozen.input_sha256,
        code_version=services.code_version,
        now=now,
    ) as posting:
        for part in pipeline.ahead(_parts(services, day, inputs), 1):
            posting.take(part, arrived=_arrived(services, windows, inputs.repayments, part))
            findings += restate.findings(part)

    _keep_windows(services, books)
    restated = restate.Restated(revisions={}, findings=findings)
    if later:
        restated = restate.replay(services, books, day, loans, dates=later, now=now)
    passed = [control.__name__ for control in controls.CONTROLS]
    books.days.note_controls(on, passed, is_held=True, now=now)
    _sync(services, books, day, restated, now=now)
    notify.step_done(books, day, Step.COMPUTE, row_count=len(inputs.repayments), now=now)
    return restated


def _sync(services: Services, books: Books, day: DayRun, found: restate.Restated, *, now: datetime) -> None:
    """Keep the breaks that a run has found; of loans that it did not look at, those that are open stay."""
    books.breaks.sync(
        found.findings,
        causes=CAUSES,
        on=day.settlement_date,
        calendar=services.calendar,
        now=now,
        sees=None if found.loans is None else books.replays.subjects(found.loans),
    )


def _keep_windows(services: Services, books: Books) -> None:
    """Keep the window of the date that was posted just now, and of those that were settled before any were kept."""
    kept = books.days.windows()
    for on in books.days.settled():
        if on not in kept:
            kept[on] = Windows(services.calendar, kept).of(on)
            books.days.keep_window(on, kept[on])


def _parts(services: Services, day: DayRun, inputs: Inputs) -> Iterator[Outcome]:
    """Yield what the day comes to, part by part, each proven before anybody sees it."""
    with extract.usable_source(day):
        for part in settle.settle_in_parts(inputs, services.policy, day.settlement_date):
            controls.check_outcome(part)
            yield part


def _arrived(services: Services, windows: Windows, repayments: pd.DataFrame, part: Outcome) -> pd.DataFrame:
    """Return the repayments of the part that the run takes, with when each came and in whose window that lies.

    Raises Refused: the source has lost a row since the inputs were frozen.
    """
    taken = arrivals.taken(part.repayments)
    asked = arrivals.elsewhere(taken, repayments)
    came = services.core.received_at(asked) if asked else {}
    if gone := sorted(set(asked) - came.keys()):
        raise Refused(
            f"The source no longer has repayments [{', '.join(gone[:5])}], which the frozen inputs name: clear the"
            " task freeze_inputs, so that it is read again"
        )
    return arrivals.dated(taken, repayments, came, windows)


def _dry_run(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Return what the day comes to, and what is owed to investors once it is booked: `owed`, by currency.

    A date that is computed already and would not change is not computed again: `already` says so, and the books answer.
    Where settled dates would change, it is done in a transaction of which nothing remains.
    """
    if _stands(services, day):
        with services.ledger.books(read_only=True) as books:
            owed = books.journal.balances(INVESTOR_PAYABLE.prefix)
            computed = _summary(books.days.totals(day.settlement_date)) | {"already": "computed"}
        return computed | {"dry_run": True, "owed": _owed(owed)}
    with services.ledger.books(read_only=True) as books:
        settled = books.days.settled()
        if not opening.is_awaited(books) and (not settled or settled[-1] < day.settlement_date):
            owed, totals = books.journal.balances(INVESTOR_PAYABLE.prefix), []
            for part in _parts(services, day, extract.see(services, books, day).inputs):
                totals.append(part.totals)
                for account, currency, amount in _credits_of_investors(part):
                    owed[account, currency] = owed.get((account, currency), 0) + amount
            return _summary(_added(totals)) | {"dry_run": True, "owed": _owed(owed)}
    computed, restated = preview(services, day, now=now)
    if day.settlement_date in settled and not restated.revisions:
        computed |= {"already": "computed"}
    for change in restated.changes[:LOGGED_CHANGES]:
        log.info("would_change", **change.to_json())
    if (more := len(restated.changes) - LOGGED_CHANGES) > 0:
        log.info("would_change_more", changes=more, see="settlement restate DATE --dry-run --json")
    return computed | _changed(restated) | {"dry_run": True}


def preview(services: Services, day: DayRun, *, now: datetime) -> tuple[dict[str, Any], restate.Restated]:
    """Settle a date, or settle it again, in a transaction of which nothing remains; return what it would come to.

    Returned are the totals of the date and what would be `owed`, by currency, and what would change of settled dates.
    """
    unkept = replace(services, snapshots=restate.Unkept(services.snapshots))
    with services.ledger.books(day=day, posting=True, is_kept=False) as books:
        opening.take(unkept, books, now=now)
        if not books.outcomes.is_computed(day):
            request = RunRequest(settlement_date=day.settlement_date, run_id=day.run_id)
            books.days.open(request, settlement_date=day.settlement_date, now=now)
        restated = _settle_or_again(unkept, books, day, now=now)
        owed = _owed(books.journal.balances(INVESTOR_PAYABLE.prefix))
        return _summary(books.days.totals(day.settlement_date)) | {"owed": owed}, restated


def show_restatement(services: Services, settlement_date: date, *, now: datetime) -> dict[str, Any]:
    """Return what settling a date again would change, as plain JSON values, each investor's difference among it."""
    day = DayRun(settlement_date=settlement_date, revision=1, run_id="restate", dry_run=True)
    nothing: dict[str, Any] = {"restated": {}, "difference": {}, "taken_back": {}}
    if _stands(services, day):
        return {"settlement_date": settlement_date.isoformat(), **nothing, "changes": []}
    _, restated = preview(services, day, now=now)
    return {
        "settlement_date": settlement_date.isoformat(),
        **(_changed(restated) or nothing),
        "changes": [change.to_json() for change in restated.changes],
    }


def _added(parts: Sequence[pd.DataFrame]) -> list[DayTotals]:
    """Return the totals of a day's parts, added up by currency."""
    names = [field.name for field in fields(DayTotals)]
    whole = pd.concat(parts).groupby("currency", as_index=False).sum()
    return [DayTotals(**dict(zip(names, row, strict=True))) for row in frames.rows(whole, *names)]


def _credits_of_investors(part: Outcome) -> Iterator[tuple[str, str, int]]:
    """Yield what a part posts to each investor's account: (account, currency, amount), debits positive."""
    currency = part.entries.set_index("entry_no")["currency"]
    of_investors = part.postings[part.postings["account"].astype("str").str.startswith(INVESTOR_PAYABLE.prefix)]
    yield from zip(
        of_investors["account"],
        currency[of_investors["entry_no"]],
        of_investors["amount"].tolist(),
        strict=True,
    )


def _owed(balances: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Return how many investors would be owed something, and how much together, by currency."""
    owed: dict[str, dict[str, int]] = {}
    for (_, currency), amount in sorted(balances.items()):
        if amount < 0:
            sums = owed.setdefault(currency, {"investors": 0, "amount": 0})
            sums["investors"] += 1
            sums["amount"] -= amount
    return owed


def _summary(totals: Sequence[DayTotals]) -> dict[str, Any]:
    return {"totals": {row.currency: {name: getattr(row, name) for name in standing.TOTALS} for row in totals}}
