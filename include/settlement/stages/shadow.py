"""A shadow run: the past of the source settled in a database of its own, and held against what a former system paid.

Nobody is paid and nobody is told. Dates are settled one after the other, as the DAG would settle them; each of the
period is compared then, and what differs is explained (`domain.shadow.explain`) once all of them are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.day_report import Sheet
from settlement.domain.errors import NotASettlementDate, Refused
from settlement.domain.shadow import amounts, explain
from settlement.domain.shadow.causes import AMOUNTS, Cause
from settlement.ports.days import RunRequest
from settlement.ports.former import FormerPayments
from settlement.ports.services import Services
from settlement.stages import compute, extract, open_day

ONE_DAY = timedelta(days=1)
LISTED = ("settlement_date", "loan_id", "investor_id", "currency", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: so many dates of so many, the newest of them, and how many payments of it differ.

    `differing` is None for a date before the period, which is settled and not compared.
    """

    done: int
    of: int
    on: date
    differing: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed:
    """What a shadow run came to: the period, what was settled for it, and every difference by cause.

    `settled_from` is the first date that was settled, None where there was none; `given` the amounts that were
    compared, and `payments` how many were, by date, loan and investor. `differences` are frame `DIFFERENCES`.
    """

    since: date
    until: date
    settled_from: date | None
    settled: int
    compared: int
    payments: int
    given: tuple[str, ...]
    differences: pd.DataFrame

    @property
    def unexplained(self) -> int:
        """How many differences no cause explains."""
        return int((self.differences["cause"] == Cause.UNEXPLAINED.value).sum())


def shadow(
    services: Services,
    former: FormerPayments,
    *,
    since: date,
    until: date,
    is_opened: bool,
    now: datetime,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Shadowed:
    """Settle the past up to a date, and compare what was paid from `since` on, both included.

    With an opening the first date is the first of the period; without one it is that of the first money of all.

    Raises Refused: a date of the period cannot be settled yet, or the source or the opening cannot be used.
    """
    first = _first(services, since, is_opened=is_opened)
    services = replace(services, calendar=replace(services.calendar, first=first))
    dates = services.calendar.days_between(first, until) if first <= until else []
    if dates:
        try:
            services.calendar.check(dates[-1], now=now)
        except NotASettlementDate as early:
            raise Refused(str(early)) from None
    settled = {*dates}
    compared = {on for on in dates if on >= since} | {*former.dates(since, until)}
    given, days, payments = former.given, list[explain.Day](), 0
    for done, on in enumerate(sorted(settled | compared), start=1):
        if on in settled:
            _settle(services, on, now=now)
        differing = None
        if on in compared:
            given, count, differences = _compare(services, former, on)
            payments, differing = payments + count, len(differences)
            if differing:
                days.append(_explain(services, on, differences, given))
        tell(Progress(done=done, of=len(settled | compared), on=on, differing=differing))
    return Shadowed(
        since=since,
        until=until,
        settled_from=dates[0] if dates else None,
        settled=len(dates),
        compared=len(compared),
        payments=payments,
        given=tuple(given),
        differences=explain.of_period(days, given),
    )


def _first(services: Services, since: date, *, is_opened: bool) -> date:
    """Return the first settlement date: of the period, or of the first money that came at all."""
    first = services.calendar.oldest_from(since)
    assert first is not None  # a shadow's calendar has no end
    if is_opened:
        return first
    with services.core.snapshot() as source:
        came = source.first_receipt()
    return first if came is None else min(first, services.calendar.settlement_date_of(came))


def _settle(services: Services, on: date, *, now: datetime) -> None:
    request = RunRequest(settlement_date=on, run_id=f"shadow__{on}", transfer=False)
    day = open_day.open_day(services, request, now=now)
    extract.freeze_inputs(services, day, now=now)
    compute.distribute(services, day, now=now)


def _compare(services: Services, former: FormerPayments, on: date) -> tuple[tuple[str, ...], int, pd.DataFrame]:
    """Return the amounts that can be compared, how many payments either side made on a date, and which differ how."""
    rows = former.paid_on(on)
    if not former.has_currency:
        with services.core.snapshot() as source:
            loans = source.loans(rows["loan_id"].unique().tolist())
        currency = rows["loan_id"].map(dict(zip(loans["loan_id"], loans["currency"], strict=True)))
        rows = rows.assign(currency=currency.fillna("").astype("str"))
    complete, given = amounts.complete(rows, former.given)
    theirs = amounts.added_up(complete)
    with services.ledger.books(read_only=True) as books:
        ours = books.outcomes.paid(on)
    return given, max(len(ours), len(theirs)), amounts.differences(ours, theirs, given)


def _explain(services: Services, on: date, differences: pd.DataFrame, given: Sequence[str]) -> explain.Day:
    """Return what the differences of a date come to, looked at with the loans that differ."""
    loans = differences["loan_id"].unique().tolist()
    with services.ledger.books(read_only=True) as books:
        shares = books.outcomes.shares_of(on, loans)
        with services.core.snapshot() as source:
            facts = extract.facts_of(source, source.loans(loans))
            involved = pd.concat([facts.holdings["investor_id"], differences["investor_id"]], ignore_index=True)
            facts = replace(facts, investors=source.investors(involved.drop_duplicates()))
        inputs = books.inputs.see(on, facts)
        kept_back = books.inputs.kept_back_before(on + ONE_DAY).get(on, ())
    before = services.calendar.calendar.previous_business_day(on)
    came_on = [on - days * ONE_DAY for days in range((on - before).days)]
    seen = explain.Seen(
        settlement_date=on, shares=shares, inputs=inputs, came_on=came_on, kept_back=frozenset(kept_back)
    )
    return explain.of_day(differences, seen, services.policy, given)


def by_cause(found: Shadowed) -> list[dict[str, Any]]:
    """Return a row for each cause and currency: how many differences, their size, and their sums, the largest first."""
    rows = _sized(found)
    return [
        {
            "cause": cause,
            "currency": currency,
            "differences": len(of),
            "size_amount": sum(of["size_amount"].tolist()),
            **{name: sum(of[name].tolist()) for name in found.given},
        }
        for (cause, currency), of in sorted(
            rows.groupby(["cause", "currency"], observed=True),
            key=lambda each: (each[0][0] != Cause.UNEXPLAINED.value, -sum(each[1]["size_amount"].tolist()), each[0]),
        )
    ]


def listed(found: Shadowed, cause: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the differences as plain values, of one cause or of all: the unexplained first, then the largest first."""
    rows = _sized(found)
    rows = rows if cause is None else rows[rows["cause"] == cause]
    order = rows.assign(is_named=rows["cause"] != Cause.UNEXPLAINED.value, below=-rows["size_amount"])
    rows = order.sort_values(["is_named", "below", *frames.DIFFERENCES.key], kind="stable")
    names = ("cause", *LISTED, *found.given)
    for values in frames.rows(rows, *names):
        yield dict(zip(names, values, strict=True))


def sheets(found: Shadowed) -> list[Sheet]:
    """Return the run as tables: its causes, and a sheet for each cause that there is."""
    summed = by_cause(found)
    columns = ("cause", "currency", "differences", "size_amount", *found.given)
    made = [Sheet(name="causes", columns=columns, rows=[tuple(row.values()) for row in summed])]
    for cause in dict.fromkeys(row["cause"] for row in summed):
        rows = [tuple(row[name] for name in (*LISTED, *found.given)) for row in listed(found, cause)]
        made.append(Sheet(name=cause, columns=(*LISTED, *found.given), rows=rows))
    return made


def _sized(found: Shadowed) -> pd.DataFrame:
    """Return the differences with the size of each: of its net amount, or of what else tells whose money it is."""
    rows = found.differences
    named = next((name for name in ("net_amount", *amounts.LEADS) if name in found.given), AMOUNTS[0])
    size = rows[named].abs()
    for name in found.given:
        size = size.where(size != 0, rows[name].abs())
    return rows.assign(size_amount=size)
