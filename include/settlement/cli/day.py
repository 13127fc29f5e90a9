"""A settlement date: where it stands, where an investor's money came from, and its report."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from settlement.cli import output
from settlement.cli.options import Day, Json, Lang, Month, NewestDay
from settlement.domain.days import DayState
from settlement.domain.errors import Refused
from settlement.ports.explain import SHARE_AMOUNTS

HOLDS = ("currency", "amount", "reason")
STATEMENT = {
    "balances": ("currency", "opening", "earned", "paid_out", "corrected", "closing"),
    "totals": ("currency", *SHARE_AMOUNTS),
    "earnings": ("settlement_date", "loan_id", "component", "currency", *SHARE_AMOUNTS),
    "payouts": ("settlement_date", "end_to_end_id", "currency", "amount", "state", "booked_on"),
    "corrections": ("settlement_date", "event", "currency", "amount"),
}
"""The tables of an investor's month, and their columns."""


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(status)
    app.command()(why)
    app.command()(statement)
    app.command()(report)


def status(settlement_date: NewestDay = None, json: Json = False, lang: Lang = None) -> None:
    """Say where a settlement date stands, in the words of its Slack message. Exit status 1: it failed or is absent."""
    from settlement import wiring
    from settlement.stages import standing

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        on = settlement_date or books.days.newest()
        if on is None:
            raise Refused("No settlement date was ever opened: run the DAG daily_settlement")
        found = standing.status(services, books, on)
        if not out.data(found):
            out.line(services.alerts.plain(standing.completed(services, books, on), language=out.language.value))
            if found["failure"]:
                out.line(found["failure"])
    raise typer.Exit(1 if found["state"] in ("absent", DayState.FAILED) else 0)


def why(
    investor_id: Annotated[str, typer.Argument(metavar="INVESTOR", help="An investor's id.")],
    settlement_date: Day,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Explain an investor's money of a day, from the payout back to the bank's lines, and what revisions changed."""
    from settlement import wiring
    from settlement.stages import explain

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = explain.why(books, investor_id, settlement_date)
    is_known = bool(found["shares"] or found["payouts"] or any(made["changes"] for made in found["revisions"]))
    if not out.data(found) and is_known:
        _print_why(out, found, zone=ZoneInfo(services.policy.timezone))
    if not is_known:
        raise Refused(
            f"Investor [{investor_id}] has neither a share nor a payout on [{settlement_date}]: look at the id, or for"
            " another date"
        )


def statement(
    investor_id: Annotated[str, typer.Argument(metavar="INVESTOR", help="An investor's id.")],
    month: Month,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as a page that prints, in the language of the text.")
    ] = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Say an investor's month: owed before, earned, paid out, and owed after. Exit status 1: the books know nothing."""
    from settlement import wiring
    from settlement.stages.investor_month import investor_month

    language = output.language(lang)
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = investor_month(books, investor_id, month)
    if html is not None:
        wiring.write_investor_month(found, html, language=language.value)
    if not out.data(found):
        _print_statement(out, found)
        if html is not None:
            out.say("written", file=html)


def report(
    settlement_date: Day,
    to: Annotated[Path, typer.Option("--to", help="The folder to write to; it is made if it is not there.")],
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Write the report of a day: a workbook, and each of its tables as CSV. The same day is the same bytes."""
    from settlement import wiring
    from settlement.stages import day_report

    language = output.language(lang)
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = day_report.day_report(services, books, settlement_date)
        written = wiring.write_day_report(found, to, language=language.value)
    rows = [{"file": str(path)} for path in written]
    if not out.data(rows):
        out.table(rows)


def _print_why(out: output.Output, found: dict[str, Any], *, zone: ZoneInfo) -> None:
    """Print the tree: what was paid, the account it was paid from, where that came from, and what revisions changed."""
    out.say("why_whose", investor_id=found["investor_id"], settlement_date=found["settlement_date"])
    for payout in found["payouts"]:
        out.say("why_payout", **_read(payout))
    for posting in found["journal"]:
        # A debit is positive: what is owed to the investor grows by a credit.
        subject = posting["payout_id"] or posting["repayment_id"] or ""
        out.say("why_posting", **_read(posting | {"amount": -posting["amount"], "subject": subject}))
    for repayment_id, allocations in _by_repayment(found["allocations"]).items():
        undoes = allocations[0]["reverses_repayment_id"]
        key = "why_reversal" if undoes else "why_repayment"
        out.say(key, **_read(allocations[0]))
        lines = [line for line in found["bank_lines"] if line["repayment_id"] == repayment_id]
        for line in lines:
            out.say("why_line", **_read(line))
        if not lines:
            out.say("why_no_line")
        for allocation in allocations:
            out.say("why_allocation", **_read(allocation))
            for share in found["shares"]:
                if share["revision"] == allocation["revision"] and share["position"] == allocation["position"]:
                    out.say("why_share", **_read(share))
    for made in found["revisions"]:
        if made["changes"]:
            at = made["computed_at"].astimezone(zone)
            out.say("why_revision", **_read(made | {"computed_at": f"{at:%Y-%m-%d %H:%M}"}))
            for change in made["changes"]:
                out.say("why_change", **_read(change) | {"difference": f"{change['difference']:+,}"})
    if found["totals"]:
        out.line("")
        out.table({"currency": currency, **sums} for currency, sums in found["totals"].items())
    if found["holds"]:
        out.line("")
        out.table(found["holds"], HOLDS)


def _print_statement(out: output.Output, found: dict[str, Any]) -> None:
    """Print the month: its balances, and what they are made of."""
    out.say("statement_of", **found)
    if found["days_open"]:
        out.say("statement_open", dates=", ".join(found["days_open"]))
    for name, columns in STATEMENT.items():
        out.line("")
        out.say(f"statement_{name}")
        out.table(found[name], columns)


def _by_repayment(allocations: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for allocation in allocations:
        found[allocation["repayment_id"]].append(allocation)
    return found


def _read(row: dict[str, Any]) -> dict[str, str]:
    """Return a row's values as a person reads them."""
    return {name: output.written(value) for name, value in row.items()}
