"""A settlement date: where it stands, where an investor's money came from, and its report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from settlement.cli import output
from settlement.cli.options import Day, Json, Lang, NewestDay
from settlement.domain.days import DayState
from settlement.domain.errors import Refused

SHARES = (
    "repayment_id", "loan_id", "receivable_id", "note_id", "component", "gross_amount", "fee_amount", "vat_amount",
    "national_tax_amount", "local_tax_amount", "net_amount",
)  # fmt: skip
PAYOUTS = ("end_to_end_id", "currency", "amount", "state")
HOLDS = ("currency", "amount", "reason")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(status)
    app.command()(why)
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
    """Explain an investor's money of a day: from the payout back to the repayments, line by line."""
    from settlement import wiring
    from settlement.stages import explain

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = explain.why(books, investor_id, settlement_date)
    is_known = bool(found["shares"] or found["payouts"])
    if not out.data(found) and is_known:
        _print_why(out, found)
    if not is_known:
        raise Refused(
            f"Investor [{investor_id}] has neither a share nor a payout on [{settlement_date}]: look at the id, or for"
            " another date"
        )


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


def _print_why(out: output.Output, found: dict[str, Any]) -> None:
    if found["payouts"]:
        out.table(found["payouts"], PAYOUTS)
        out.line("")
    out.table(found["shares"], SHARES)
    if found["totals"]:
        out.line("")
        out.table({"currency": currency, **sums} for currency, sums in found["totals"].items())
    if found["holds"]:
        out.line("")
        out.table(found["holds"], HOLDS)
