"""Computing a day from its frozen inputs, and posting what came out: one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pandas as pd

from settlement.domain import controls, frames, pipeline
from settlement.domain.alerts.day import Step
from settlement.domain.books.accounts import INVESTOR_PAYABLE
from settlement.domain.breaks import Finding
from settlement.domain.computation import arrivals, settle
from settlement.domain.days import Windows
from settlement.domain.errors import Broken, BrokenInvariant, Refused
from settlement.domain.frames import Inputs, Outcome
from settlement.ports.books import Books
from settlement.ports.days import DayRun, DayTotals
from settlement.ports.services import Services
from settlement.stages import extract, notify, standing

CAUSES = ("quarantined", "bad_reversal", "orphan_repayment", "overpaid", "refund_exceeds_credit")


def distribute(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Compute and post the day's money, once; return its totals by currency. A dry run posts and tells nothing.

    Raises Refused: an invariant does not hold: nothing is posted, and a critical alert names the control.
    Raises Broken: the same of a dry run.
    """
    if day.dry_run:
        return _dry_run(services, day)
    try:
        return _distribute(services, day, now=now)
    except Broken as broken:
        raise notify.control_broken(
            services, day.settlement_date, broken, backfill_id=day.backfill_id, now=now
        ) from broken
    except BrokenInvariant as impossible:
        found = Broken("arithmetic", str(impossible))
        raise notify.control_broken(
            services, day.settlement_date, found, backfill_id=day.backfill_id, now=now
        ) from impossible


def _distribute(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Apply, divide, charge, tax and book the day's money, once; return its totals by currency.

    A revision that is computed already is returned as it stands. Inputs that were read before another day was posted
    are read and frozen again, under the lock under which everything is posted, so that positions are never stale; the
    database refuses them otherwise.

    Raises Broken: an invariant does not hold; nothing is posted.
    """
    with services.ledger.books(day=day, posting=True) as books:
        if books.outcomes.is_computed(day):
            return _summary(books.days.totals(day.settlement_date)) | {"already": "computed"}
        frozen = books.outcomes.frozen(day)
        if frozen is None or frozen.books_version != books.outcomes.version():
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
                findings += _breaks(part)

        _keep_windows(services, books)
        passed = [control.__name__ for control in controls.CONTROLS]
        books.days.note_controls(day.settlement_date, passed, is_held=True, now=now)
        books.breaks.sync(
            findings,
            causes=CAUSES,
            on=day.settlement_date,
            calendar=services.calendar,
            now=now,
            sees_all=books.days.is_newest(day.settlement_date),
        )
        notify.step_done(books, day, Step.COMPUTE, row_count=len(inputs.repayments), now=now)
        return _summary(books.days.totals(day.settlement_date))


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
    taken = part.repayments[part.repayments["outcome"] != "refused"]  # only a break tells of it
    asked = arrivals.elsewhere(taken, repayments)
    came = services.core.received_at(asked) if asked else {}
    if gone := sorted(set(asked) - came.keys()):
        raise Refused(
            f"The source no longer has repayments [{', '.join(gone[:5])}], which the frozen inputs name: clear the"
            " task freeze_inputs, so that it is read again"
        )
    return arrivals.dated(taken, repayments, came, windows)


def _breaks(part: Outcome) -> list[Finding]:
    return [
        Finding(
            cause=row["cause"],
            subject_kind=row["subject_kind"],
            subject_id=row["subject_id"],
            currency=None if pd.isna(row["currency"]) else row["currency"],
            amount=row["amount"],
            evidence={"rows": row["evidence"]},
        )
        for row in part.breaks.to_dict("records")
    ]


def _dry_run(services: Services, day: DayRun) -> dict[str, Any]:
    """Return what the day comes to, and what is owed to investors once it is booked: `owed`, by currency.

    A date that is computed already would not be computed again: `already` says so, and the books answer.
    """
    with services.ledger.books(read_only=True) as books:
        owed = books.journal.balances(INVESTOR_PAYABLE.prefix)
        if books.outcomes.is_computed(day):
            computed = _summary(books.days.totals(day.settlement_date)) | {"already": "computed"}
        else:
            totals = []
            for part in _parts(services, day, extract.see(services, books, day).inputs):
                totals.append(part.totals)
                for account, currency, amount in _credits_of_investors(part):
                    owed[account, currency] = owed.get((account, currency), 0) + amount
            computed = _summary(_added(totals))
    return computed | {"dry_run": True, "owed": _owed(owed)}


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
