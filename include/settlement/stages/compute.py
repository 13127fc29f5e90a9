"""Computing a day from its frozen inputs, and posting what came out: one transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from settlement.domain import controls, settle
from settlement.domain.breaks import Finding
from settlement.domain.days import SettlementCalendar
from settlement.domain.frames import Inputs, Outcome
from settlement.domain.money import BrokenInvariant
from settlement.ports import Books, DayRun, Services
from settlement.stages import extract, report

CAUSES = ("quarantined", "bad_reversal", "orphan_repayment", "overpaid")


def distribute(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Compute and post the day's money, once; return its totals by currency.

    :raises Refused: an invariant does not hold: nothing is posted, and a critical alert names the control.
    """
    try:
        return _distribute(services, day, now=now)
    except controls.Broken as broken:
        raise report.control_broken(services, day.settlement_date, broken, now=now) from broken
    except BrokenInvariant as impossible:
        found = controls.Broken("arithmetic", str(impossible))
        raise report.control_broken(services, day.settlement_date, found, now=now) from impossible


def _distribute(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Apply, divide, charge, tax and book the day's money, once; return its totals by currency.

    A revision that is computed already is returned as it stands. Inputs that were frozen before another day was
    posted are frozen again, so that positions are never stale.

    :raises controls.Broken: an invariant does not hold; nothing is posted.
    """
    if day.dry_run:
        with services.ledger.books(read_only=True) as books:
            outcome = _outcome(services, day, extract.see(services, books, day)[0])
        return _summary(outcome.totals.to_dict("records")) | {"dry_run": True}
    with services.ledger.books(day=day, posting=True) as books:
        if books.is_computed(day):
            return _summary(books.day_totals(day.settlement_date)) | {"already": "computed"}
        frozen = books.frozen(day)
        if frozen is None or frozen.books_version != books.books_version():
            frozen = extract.freeze(services, books, day, extract.see(services, books, day)[0], now=now)
        inputs = services.snapshots.load(extract.snapshot_name(day), input_sha256=frozen.input_sha256)
        outcome = _outcome(services, day, inputs)
        books.post_outcome(
            day,
            outcome,
            arrivals=_arrivals(services, inputs, outcome),
            policy=services.policy,
            input_sha256=frozen.input_sha256,
            code_version=services.code_version,
            now=now,
        )
        _open_breaks(services, books, day, outcome, now=now)
        return _summary(books.day_totals(day.settlement_date))


def _outcome(services: Services, day: DayRun, inputs: Inputs) -> Outcome:
    with extract.usable_source(day):
        outcome = settle.settle_day(inputs, services.policy, day.settlement_date)
    controls.check_outcome(outcome)
    return outcome


def _arrivals(services: Services, inputs: Inputs, outcome: Outcome) -> dict[str, tuple[datetime, date]]:
    """Return when each taken repayment arrived, and the settlement date in whose window that lies."""
    received = inputs.repayments.set_index("repayment_id")["received_at"]
    elsewhere = outcome.repayments.loc[
        ~outcome.repayments["repayment_id"].isin(received.index), "repayment_id"
    ].tolist()
    if elsewhere:  # cancelled before their own run: they are not among the run's inputs
        received = pd.concat([received, pd.Series(services.core.received_at(elsewhere), dtype=received.dtype)])
    instants = [instant.to_pydatetime() for instant in received]
    return dict(zip(received.index, zip(instants, _windows(received, services.calendar), strict=True), strict=True))


def _windows(received: pd.Series, calendar: SettlementCalendar) -> list[date]:
    """Return the settlement date of each instant; one look into the calendar for each day, not for each row."""
    if received.empty:
        return []
    first, last = (calendar.settlement_date_of(instant.to_pydatetime()) for instant in (received.min(), received.max()))
    dates = calendar.calendar.days_between(first, last)
    ends = np.array(
        [calendar.window(on).until_at_exclusive.replace(tzinfo=None) for on in dates], dtype="datetime64[us]"
    )
    instants = received.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    places = np.searchsorted(ends, instants, side="right")
    return [dates[place] for place in places]


def _open_breaks(services: Services, books: Books, day: DayRun, outcome: Outcome, *, now: datetime) -> None:
    findings = [
        Finding(
            cause=row["cause"],
            subject_kind=row["subject_kind"],
            subject_id=row["subject_id"],
            currency=None if pd.isna(row["currency"]) else row["currency"],
            amount=row["amount"],
            evidence={"rows": row["evidence"]},
        )
        for row in outcome.breaks.to_dict("records")
    ]
    books.sync_breaks(findings, causes=CAUSES, on=day.settlement_date, calendar=services.calendar, now=now)


def _summary(totals: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    return {"totals": {row["currency"]: {name: int(row[name]) for name in report.TOTALS} for row in totals}}
