"""Day: a settlement date that adds up, every number with the rows behind it."""

import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from settlement import wiring
from settlement.domain.alerts.day import DayDryRun
from settlement.domain.alerts.payload import events_of
from settlement.domain.days import DayState
from settlement.domain.payments.state import PayoutState
from settlement.pages import bridge, levels, months, verdict
from settlement.pages.query import KEPT, ROWS, Row
from settlement.pages.screen import Screen, Shown

router = APIRouter()
ABOVE = {"number", "settlement_date", "revision", "issued_at", "previous_sha256"}
"""Of a certificate, what its page says above everything else."""
FIRST = (
    "supersedes", "restatements", "totals", "movements", "payouts", "held", "open_breaks", "gaps", "statements",
    "controls", "policy", "sealed",
)  # fmt: skip
"""Of a certificate, what is read first, in this order."""
MONEY = {"amount", "opening", "came", "went", "closing"}


@router.get("/day/{on}")
def day(shown: Shown, on: date) -> Response:
    """Show a settlement date: its money, its controls, its revisions, its payouts, what is open, and its proof."""
    with shown.reading() as query:
        found = query.row("day", on=on)
        dry_runs = [
            (row["created_at"], event) for row in query.rows("dry_runs_of_day", on=on) for event in _dry_runs(row)
        ]
        if found is None:
            return _no_day(shown, on, dry_runs=dry_runs)
        sums = query.rows("payout_sums", on=on)
        read: dict[str, Any] = {
            "totals": query.rows("totals", on=on),
            "payouts": sums,
            "controls": query.rows("controls", on=on),
            "revisions": query.rows("revisions", on=on),
            "runs": query.rows("runs", on=on),
            "files": query.rows("files_of_day", on=on),
            "breaks": query.rows("breaks_of_day", on=on),
            "quarantined": query.rows("quarantined", on=on),
            "questions": query.rows("questions_of_day", on=on),
            "objections": query.rows("objections", on=on),
            "alerts": query.rows("alerts_of_day", on=on),
            "certificates": query.rows("certificates_of_day", on=on),
            "around": query.row("around", on=on),
        }
    state = DayState(found["state"])
    has_sent = any(not PayoutState(row["state"]).is_unsent for row in sums)
    return shown.show(
        "day",
        on=on,
        day=found,
        is_late=months.is_late(shown, found),
        steps=verdict.steps(state, revision=found["revision"], has_sent=has_sent),
        bridges=[bridge.of_totals(row) for row in read["totals"] if row["currency"]],
        changes=bridge.CHANGES,
        dry_runs=dry_runs,
        levels=levels,
        **read,
    )


def _dry_runs(row: Row) -> Iterator[DayDryRun]:
    """Yield what a dry run found, as its message told it."""
    for event in events_of(row["payload"]).values():
        if isinstance(event, DayDryRun):
            yield event


def _no_day(shown: Screen, on: date, *, dry_runs: list[tuple[datetime, DayDryRun]]) -> Response:
    calendar = shown.house.calendar
    is_business_day = calendar.calendar.is_business_day(on)
    return shown.show(
        "no_day",
        status=404,
        on=on,
        dry_runs=dry_runs,
        why=months.holiday(shown, on),
        is_business_day=is_business_day,
        is_outside=not calendar.is_within(on),
    )


@router.get("/day/{on}/rows/{total}")
def rows(shown: Shown, on: date, total: str, currency: str, after: str = "", kept: str = "") -> Response:
    """Show the postings that a number of the day is the sum of, by their entries' order."""
    if total not in bridge.BOOKED_IN:
        raise HTTPException(404)
    account, sign = bridge.BOOKED_IN[total]
    asked = {"on": on, "account": account, "currency": currency, "sign": sign}
    entry, _, after_account = after.partition(" ")
    if entry and not entry.isdecimal():
        raise HTTPException(404)
    seen: dict[str, Any] = {"after": int(entry or 0), "after_account": after_account}
    with shown.reading() as query:
        found = query.rows("rows_of_total", limit=KEPT + 1 if kept else ROWS, **asked, **seen)
        if kept:
            name, title = f"{on}-{total}-{currency}", f"{on} {shown.words(f'totals.{total}')}"
            return shown.table(name, found, kind=kept, title=title)
        sums = query.row("sum_of_total", **asked)
        totals = query.rows("totals", on=on)
    told = next((row[f"{total}_amount"] for row in totals if row["currency"] == currency), None)
    return shown.show(
        "rows", on=on, total=total, currency=currency, rows=found, sums=sums, told=told, limit=ROWS, account=account
    )


@router.get("/day/{on}/changes/{revision}")
def changes(shown: Shown, on: date, revision: int, after: str = "", kept: str = "") -> Response:
    """Show what a revision changed of what investors got, by investor."""
    after_id, _, currency = after.rpartition(" ")
    seen: dict[str, Any] = {"after": after_id, "currency": currency}
    with shown.reading() as query:
        made = [row for row in query.rows("revisions", on=on) if row["revision"] == revision]
        if not made:
            raise HTTPException(404)
        limit = KEPT + 1 if kept else ROWS
        found = query.rows("changes_by_investor", on=on, revision=revision, limit=limit, **seen)
    if kept:
        title = f"{on} {shown.words('words.revision', number=revision)}"
        return shown.table(f"{on}-revision-{revision}", found, kind=kept, title=title)
    return shown.show("changes", on=on, revision=revision, made=made, rows=found, limit=ROWS)


@router.get("/day/{on}/report.xlsx")
def report(shown: Shown, on: date) -> Response:
    """Return the workbook of a day, in the policy's language."""
    from settlement.stages import day_report

    with wiring.operators() as services, services.ledger.books(read_only=True) as books:
        made = day_report.day_report(services, books, on)
        content = services.write_report(made)
    return shown.download(f"{made.name}.xlsx", content)


@router.get("/evidence.zip")
def evidence(shown: Shown, first: date, last: date) -> Response:
    """Return the certificates of a period with every row that they seal, to be verified elsewhere."""
    if not shown.visitor.may_act:
        raise HTTPException(403, shown.words("errors.holds_names"))
    with (
        tempfile.TemporaryDirectory() as folder,
        wiring.operators() as services,
        services.ledger.books(read_only=True) as books,
    ):
        found = [one for one in books.close.certificates() if first <= one.settlement_date <= last]
        if not found:
            raise HTTPException(404)
        archive = Path(folder) / "evidence.zip"
        wiring.write_archive(archive, found, {one.number: books.close.sealed_rows(one.number) for one in found})
        content = archive.read_bytes()
    return shown.download(f"evidence-{first}-{last}.zip", content)


@router.get("/certificate/{number}")
def certificate(shown: Shown, number: int) -> Response:
    """Show a certificate as it was issued, with its place in the chain."""
    with shown.reading() as query:
        found = query.row("certificate", number=number)
    if found is None:
        raise HTTPException(404)
    kept = {key: value for key, value in found["body"].items() if key not in ABOVE}
    body = {key: kept[key] for key in (*FIRST, *sorted(kept)) if key in kept}
    of_bank = {_currency(name) for name in body.get("movements", ()) if name.startswith("bank ")}
    return shown.show(
        "certificate",
        certificate=found,
        body=body,
        bank_currency=of_bank.pop() if len(of_bank) == 1 else None,
        currency_of=_currency,
        is_money=lambda key: key in MONEY or key.endswith(("_amount", "_change")),
    )


def _currency(name: str) -> str | None:
    """Return the currency that a name of the certificate has in it: of "bank KRW" it is KRW."""
    return next((word for word in name.split() if len(word) == 3 and word.isupper()), None)
