"""Taking a lender over that settled elsewhere before: its opening positions are read once, proven, booked, certified.

It is done in one transaction, by the first run of any date, before that run sees anything: positions, held credits and
what is owed then stand in the books as if settled on the business day before the first settlement date. What
contradicts itself refuses the whole of it, and the run.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd
import structlog

from settlement.domain import frames
from settlement.domain.books import opening as positions
from settlement.domain.books.opening import OpeningKind
from settlement.domain.computation import opening
from settlement.domain.errors import InvalidFrame, Refused
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services

log = structlog.get_logger(__name__)

NUMBER = 0
"""Of the certificate that an opening has, before all others."""


def is_awaited(books: Books) -> bool:
    """Tell whether a run would take opening positions: no date is settled, and no lender was taken over."""
    return books.opening.find() is None and not books.days.settled()


def check(books: Books, day: DayRun) -> None:
    """Refuse a date before the one that the lender was taken over for, whatever the policy names by now.

    Raises Refused: it is one.
    """
    taken = books.opening.find()
    if taken is not None and day.settlement_date < taken.first_date:
        raise Refused(
            f"[{day.settlement_date}] cannot be settled: the lender was taken over for [{taken.first_date}], and what"
            " came before it was settled elsewhere"
        )


def refunds_of_ours(books: Books, refunds: pd.DataFrame) -> pd.DataFrame:
    """Return the refunds that were asked for since the lender was taken over: those before it were the former system's.

    What that had not paid is held credit in the opening; it is asked for anew.
    """
    taken = books.opening.find()
    if taken is None:
        return refunds
    ours: pd.DataFrame = refunds[refunds["requested_at"] >= pd.Timestamp(taken.opens_at)]
    return ours.reset_index(drop=True)


def take_over(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take the source's opening positions, if this is the first run of any date; return what was taken, or nothing.

    Raises Refused: they contradict themselves or the source, all rows named, or the policy names no first date.
    """
    with services.ledger.books(read_only=True) as books:
        check(books, day)
        if not is_awaited(books):
            return {}
    if _read(services, now=now)[0].empty:  # no lock for a lender that begins empty
        return {}
    with services.ledger.books(day=day, posting=True) as books:
        return take(services, books, now=now)


def take(services: Services, books: Books, *, now: datetime) -> dict[str, Any]:
    """Take the source's opening positions in a transaction that holds the lock under which everything is posted.

    Raises Refused: as `take_over`.
    """
    if not is_awaited(books):
        return {}
    found, opens_at = _read(services, now=now)
    if found.empty:
        return {}
    first = services.calendar.first
    if first is None:
        raise Refused(
            "The source has opening positions, and the policy names no first_settlement_date: they are taken over on"
            " the business day before it, and no date before it is settled"
        )
    wrong = opening.contradictions(found, opens_at=opens_at, currencies={*services.policy.currencies})
    if wrong:
        raise Refused(
            f"The opening positions contradict themselves or the source, and nothing of them is taken over. Mend these"
            f" [{len(wrong)}], then clear the task:\n" + "\n".join(wrong)
        )
    opened_on = services.calendar.calendar.previous_business_day(first)
    kept = books.opening.keep(
        found,
        first_date=first,
        opens_at=opens_at,
        opened_on=opened_on,
        received_at=services.calendar.start_of(opened_on),
        now=now,
    )
    rows = frames.rows(found, "kind", "subject_id", "currency", "amount")
    booked = [positions.entry(OpeningKind(kind), *of) for kind, *of in rows]
    made = [entry for entry in booked if entry is not None]
    books.journal.post_all(made, settlement_date=opened_on, now=now)
    _certify(services, books, now=now)
    log.info("opening_taken_over", opened_on=opened_on.isoformat(), rows=len(found), sha256=kept.sha256)
    return {"opened_on": opened_on.isoformat(), "sha256": kept.sha256, "positions": dict(books.opening.sums())}


def _read(services: Services, *, now: datetime) -> tuple[pd.DataFrame, datetime]:
    """Return the source's opening positions, and the instant before which everything was settled elsewhere."""
    first = services.calendar.first
    opens_at = services.calendar.window(first).from_at if first else now
    with services.core.snapshot() as source:
        try:
            return source.opening(opens_at), opens_at
        except InvalidFrame as invalid:
            raise Refused(f"The opening positions cannot be used: {invalid}") from invalid


def _certify(services: Services, books: Books, *, now: datetime) -> None:
    """Issue certificate number 0: what was taken over, its hash, and the seals of every row that there is by now."""
    taken = books.opening.find()
    assert taken is not None
    in_transit = asdict(books.in_transit.open_items())
    sealed_until = books.close.seal(NUMBER, since={})
    policy = services.policy
    body: dict[str, Any] = {
        "number": NUMBER,
        "previous_sha256": None,
        "settlement_date": taken.opened_on.isoformat(),
        "revision": 0,
        "issued_at": now.isoformat(),
        "policy": {"name": policy.name, "version": policy.version, "sha256": policy.sha256},
        "input_sha256": taken.sha256,
        "output_sha256": None,
        "code_version": services.code_version,
        "opening": {"first_date": taken.first_date.isoformat(), "positions": dict(books.opening.sums())},
        "totals": {},
        "payouts": {},
        "movements": {},
        "gaps": [],
        "statements": [],
        "open_breaks": [],
        "controls": [],
        "held": {},
        "in_transit": in_transit,
        "sealed": books.close.sealed(NUMBER),
        "sealed_until": sealed_until,
    }
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    books.close.keep_certificate(NUMBER, on=taken.opened_on, revision=0, body=text, now=now)
