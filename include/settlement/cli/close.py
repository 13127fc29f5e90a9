"""The close, and the proofs that anybody can repeat: certificates, verification, replays, archives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from settlement.cli import output
from settlement.cli.options import Day, Json, Lang, Month, parse_date
from settlement.ports.month import TABLES

HASHES = ("input_sha256", "output_sha256", "code_version", "previous_sha256", "sha256")

MOVEMENTS = ("side", "opening", "came", "went", "closing")
TOTALS = (
    "currency", "repayment_count", "received_amount", "distributed_amount", "fee_amount", "vat_amount",
    "national_tax_amount", "local_tax_amount", "cost_amount", "credit_amount", "quarantined_amount",
    "refunded_amount",
)  # fmt: skip
RESTATEMENTS = ("revision", "reason", "requested_by", "currency", "received_change", "distributed_change")
PAYOUTS = ("state", "count", "amount")
OPENING = ("position", "count", "amount")
OPEN_BREAKS = ("break_id", "cause", "subject_kind", "subject_id", "currency", "amount", "age_business_days")
SEALED = ("table", "rows")
REMITTANCES = ("kind", "currency", "amount", "remitted_amount", "due_on")
MONTH_CHANGES = ("table", "of", "column", "before", "after")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(certify)
    app.command()(verify)
    app.command()(replay)
    app.command()(export)
    app.command()(month)


def certify(settlement_date: Day, json: Json = False, lang: Lang = None) -> None:
    """Print the certificate of a closed day. Exit status 1: the day is not closed."""
    from settlement import wiring
    from settlement.stages import close

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = close.certificate(books, settlement_date)
    if not out.data(found):
        _print_certificate(out, found)


def verify(
    json: Json = False,
    lang: Lang = None,
    source: Annotated[Path | None, typer.Option("--from", help="Verify an archive that `export` wrote.")] = None,
) -> None:
    """Prove every invariant and the chain of certificates from the rows alone. Exit status 1: a row was changed."""
    from settlement import wiring
    from settlement.stages import close

    out = output.answer(json=json, lang=lang)
    if source is not None:
        found = [{"check": close.SEALS, "row": row} for row in wiring.broken_archive(source)]
    else:
        with wiring.command() as services:
            found = close.verify(services)
    if not out.data(found):
        for row in found:
            out.say("broken", **row)
        if not found:
            out.say("verified")
    raise typer.Exit(1 if found else 0)


def replay(settlement_date: Day, json: Json = False, lang: Lang = None) -> None:
    """Compute a day again from its frozen inputs and compare byte for byte. Exit status 1: something differs."""
    from settlement import wiring
    from settlement.stages import close

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        found = close.replay(services, settlement_date)
    if not out.data(found):
        for row in found["differs"]:
            out.say("differs", row=row, **found)
        if not found["differs"]:
            out.say("same_bytes", **found)
        if not found["is_same_code"]:
            out.say("other_code")
    raise typer.Exit(1 if found["differs"] else 0)


def export(
    first: Annotated[str, typer.Argument(metavar="FROM", help="The first settlement date, YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(metavar="TO", help="The last one.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write, a ZIP. It holds names and account numbers.")],
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Write a period's certificates and all rows that they seal, to be verified elsewhere. Exit status 1: none."""
    from settlement import wiring

    first_on, last_on = parse_date(first), parse_date(last)
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        every = books.close.certificates()
        found = [c for c in every if first_on <= c.settlement_date <= last_on]
        if found and found[0].number == 1:  # what was taken over stands before the first day
            found = [c for c in every if c.number == 0] + found
        wiring.write_archive(to, found, {c.number: books.close.sealed_rows(c.number) for c in found})
    rows = [{"number": c.number, "settlement_date": str(c.settlement_date), "sha256": c.sha256} for c in found]
    if not out.data(rows):
        out.table(rows)
    raise typer.Exit(0 if found else 1)


def month(
    of: Month,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="A folder: write a workbook and a page, in the language of the text, and CSV."),
    ] = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Say a month: its days, what is to be filed and handed on, investors, accounts. Exit status 1: it has no date."""
    from settlement import wiring
    from settlement.stages import certify_month, remit
    from settlement.stages import month as months

    language = output.language(lang)
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = months.month(services, books, of)
        found["certificate"] = certify_month.of_month(books, found)
        found["remittances"] = remit.of_month(services, books, of)
    written = wiring.write_month(found, to, language=language.value) if to is not None else []
    if not out.data(found):
        _print_month(out, found)
        for path in written:
            out.say("written", file=path)


def _print_month(out: output.Output, found: Mapping[str, Any]) -> None:
    out.say("month_of", **found)
    if found["days_open"]:
        out.say("statement_open", dates=", ".join(found["days_open"]))
    certified = found["certificate"]
    if certified is None:
        out.say("month_uncertified")
    else:
        out.say("month_certificate", **certified)
        if not certified["is_current"]:
            out.say("month_moved")
        if certified["supersedes"]:
            out.say("month_supersedes", **certified["supersedes"])
            out.table(certified["changes"], MONTH_CHANGES)
    for name, columns in TABLES.items():
        out.line("")
        out.say(f"month_{name}")
        out.table(found[name], columns)
    out.line("")
    out.say("month_remittances")
    out.table(found["remittances"], REMITTANCES)


def _print_certificate(out: output.Output, found: Mapping[str, Any]) -> None:
    out.say("certificate", **found)
    out.say("certified_policy", **found["policy"])
    if found.get("supersedes"):  # a certificate of before a settled date could change names none
        out.say("supersedes", **found["supersedes"])
    for name in HASHES:
        out.line(f"{name:16} {found[name] or '-'}")
    movements = [{"side": side, **moved} for side, moved in found["movements"].items()]
    # A certificate of before there were refunds does not speak of any.
    totals = [{"currency": currency, "refunded_amount": 0, **sums} for currency, sums in found["totals"].items()]
    payouts = [{"state": state, **sums} for state, sums in found["payouts"].items()]
    restatements = [
        restated | {"currency": currency} | changes
        for restated in found.get("restatements", ())
        for currency, changes in restated["changes"].items()
    ]
    opening = [
        {"position": name, **sums} for name, sums in found.get("opening", {"positions": {}})["positions"].items()
    ]
    sealed = [{"table": table, "rows": rows["rows"]} for table, rows in found["sealed"].items()]
    for title, rows, columns in (
        *([("opening", opening, OPENING)] if opening else []),
        ("movements", movements, MOVEMENTS),
        ("totals", totals, TOTALS),
        ("restatements", restatements, RESTATEMENTS),
        ("payouts", payouts, PAYOUTS),
        ("open_breaks", found["open_breaks"], OPEN_BREAKS),
        ("sealed", sealed, SEALED),
    ):
        out.line("")
        out.say(title)
        out.table(rows, columns)
