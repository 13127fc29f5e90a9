"""The certificate of a month: issued once its last date is closed, and again when a date of it was settled again.

Certificates of months are a chain of their own. Each holds the hash of the one before it, the certificates of its days,
the month's tables (of the investors' its hash, for they are many), and the newest entry of the journal that it counts.
The next certificate of a day seals it. A date that is not closed by then is named in it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from json import loads
from typing import Any

import structlog

from settlement.domain import remittances
from settlement.domain.days import DayState
from settlement.domain.errors import Refused
from settlement.ports.books import Books
from settlement.ports.month import DueMonth, MonthCertificate
from settlement.ports.services import Services
from settlement.stages import close, month

log = structlog.get_logger(__name__)

COMPARED = ("totals", "filing", "payables")
"""The tables of which a revision says what it changed."""
OWN = ("number", "revision", "sha256", "issued_at", "supersedes", "changes")


def certify(services: Services, *, now: datetime) -> list[str]:
    """Certify every month that is due, each in a transaction of its own, and return them as `2026-02`.

    One whose frozen inputs are gone is not certified, and the log says why each time: nothing else waits for it.
    """
    with services.ledger.books(read_only=True) as books:
        due = [found for found in books.months.due() if _is_over(services, books, found.month)]
    certified = []
    for found in due:
        try:
            issue(services, found, now=now)
        except Refused as refused:
            log.warning("month_is_not_certified", month=f"{found.month:%Y-%m}", reason=str(refused))
            continue
        certified.append(f"{found.month:%Y-%m}")
    return certified


def _is_over(services: Services, books: Books, first: date) -> bool:
    """Tell whether the last settlement date of a month is closed."""
    last = month.dates_of(services.calendar, books, first, remittances.last_of(first))[-1]
    day = books.days.find(last)
    return day is not None and day.state is DayState.CLOSED


def issue(services: Services, due: DueMonth, *, now: datetime) -> None:
    """Certify a month as it stands, in one transaction; what another run has certified meanwhile stays as it is.

    Raises Refused: frozen inputs of the month are gone.
    """
    with services.ledger.books(posting=True) as books:
        former = books.months.certificates()
        already = books.months.certificate(due.month)
        if already is not None and already.until_number >= due.until_number:
            return
        found = month.month(services, books, due.month)
        investors = found.pop("investors")
        supersedes = {name: getattr(already, name) for name in ("number", "revision", "sha256")} if already else None
        body = found | {
            "number": len(former) + 1,
            "previous_sha256": former[-1].sha256 if former else None,
            "revision": already.revision + 1 if already else 1,
            "supersedes": supersedes,
            "changes": list(_changes(loads(already.body), found)) if already else [],
            "issued_at": now.isoformat(),
            "code_version": services.code_version,
            "entries_until": books.months.newest_entry(),
            "investors": {"rows": len(investors), "sha256": _sha256(close.canonical(investors))},
        }
        text = close.canonical(body)
        books.months.keep_certificate(
            MonthCertificate(
                number=body["number"],
                month=due.month,
                revision=body["revision"],
                until_number=due.until_number,
                body=text,
                sha256=_sha256(text),
                issued_at=now,
            )
        )


def of_month(books: Books, found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a report says of the month's newest certificate; `found` is what `month.month` says.

    `is_current`: each date stands as the certificate names it.
    """
    newest = books.months.certificate(date.fromisoformat(found["first"]))
    if newest is None:
        return None
    body = loads(newest.body) | {"sha256": newest.sha256}
    return {name: body[name] for name in OWN} | {"is_current": body["days"] == found["days"]}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each amount that a revision changed: its table, what it is of, its column, before and after."""
    for table in COMPARED:
        rows = [{_of(row): row for row in tables[table]} for tables in (before, after)]
        for of in sorted({*rows[0], *rows[1]}):
            was, now = (found.get(of, {}) for found in rows)
            for column in sorted({*was, *now}):
                if column.endswith(("_amount", "_count")) and was.get(column, 0) != now.get(column, 0):
                    yield {
                        "table": table,
                        "of": of,
                        "column": column,
                        "before": was.get(column, 0),
                        "after": now.get(column, 0),
                    }


def _of(row: Mapping[str, Any]) -> str:
    """Name what a row is of: its currency, and kind or class and rate."""
    return " ".join(str(row[name]) for name in ("currency", "kind", "tax_class", "rate_ppm") if name in row)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
