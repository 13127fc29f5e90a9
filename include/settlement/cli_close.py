"""The commands of reconciliation and the close: breaks, certificates, proofs, reports."""

import getpass
import json as jsons
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from settlement import config
from settlement.domain.errors import Refused

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Day = Annotated[str, typer.Argument(metavar="DATE", help="A settlement date, YYYY-MM-DD.")]
BreakId = Annotated[int, typer.Argument(metavar="BREAK", help="The break's number, as `settlement breaks` lists it.")]
By = Annotated[str, typer.Option("--by", help="Who does this; the login by default.", default_factory=getpass.getuser)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for good.")]

breaks = typer.Typer(help="List the open breaks, and do something about one.", invoke_without_command=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(certify)
    app.command()(verify)
    app.command()(replay)
    app.command()(export)
    app.command(name="report")(day_report)
    app.command(name="matching-score")(matching_score)
    app.add_typer(breaks, name="breaks")


def certify(settlement_date: Day, json: Json = False) -> None:
    """Print the certificate of a closed day. Exit status 1: the day is not closed."""
    from settlement import wiring
    from settlement.stages import close

    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        found = close.certificate(books, _date(settlement_date))
    if json:
        print(jsons.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print_certificate(found)


def verify(
    json: Json = False,
    source: Annotated[Path | None, typer.Option("--from", help="Verify an archive that `export` wrote.")] = None,
) -> None:
    """Prove every invariant and the chain of certificates from the rows alone. Exit status 1: a row was changed."""
    from settlement import wiring
    from settlement.adapters import archive
    from settlement.stages import close

    if source is not None:
        try:
            found = [{"check": close.SEALS, "row": row} for row in archive.broken(source)]
        except ValueError as error:
            raise Refused(str(error)) from None
    else:
        with wiring.services() as services:
            found = close.verify(services)
    if json:
        print(jsons.dumps(found, ensure_ascii=False, indent=2))
    elif found:
        print("\n".join(f"{row['row']}: broken is that {row['check']}" for row in found))
    else:
        print("Every invariant holds, and every sealed row is what was certified.")
    raise typer.Exit(1 if found else 0)


def export(
    first: Annotated[str, typer.Argument(metavar="FROM", help="The first settlement date, YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(metavar="TO", help="The last one.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write, a ZIP. It holds names and account numbers.")],
    json: Json = False,
) -> None:
    """Write a period's certificates and all rows that they seal, to be verified elsewhere. Exit status 1: none."""
    from settlement import wiring
    from settlement.adapters import archive

    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        found = [c for c in books.close.certificates() if _date(first) <= c.settlement_date <= _date(last)]
        archive.write(to, found, {c.number: books.close.sealed_rows(c.number) for c in found})
    rows = [{"number": c.number, "settlement_date": str(c.settlement_date), "sha256": c.sha256} for c in found]
    _print_rows(rows, json=json)
    raise typer.Exit(0 if found else 1)


def replay(settlement_date: Day, json: Json = False) -> None:
    """Compute a day again from its frozen inputs and compare byte for byte. Exit status 1: something differs."""
    from settlement import wiring
    from settlement.stages import close

    with wiring.services() as services:
        found = close.replay(services, _date(settlement_date))
    if json:
        print(jsons.dumps(found, ensure_ascii=False, indent=2))
    else:
        where = f"{found['settlement_date']} r{found['revision']}"
        same = f"{where}: the same bytes, sha256 {found['output_sha256']}"
        print("\n".join(f"{where} differs: {row}" for row in found["differs"]) or same)
        if not found["is_same_code"]:
            print("It was computed by another version of the code.")
    raise typer.Exit(1 if found["differs"] else 0)


def day_report(
    settlement_date: Day,
    to: Annotated[Path, typer.Option("--to", help="The folder to write to; it is made if it is not there.")],
    json: Json = False,
) -> None:
    """Write the report of a day: a workbook, and each of its tables as CSV. The same day is the same bytes."""
    from settlement import wiring
    from settlement.adapters import reports
    from settlement.stages import day_report as reporting

    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        written = reports.write(reporting.day_report(services, books, _date(settlement_date)), to)
    _print_rows([{"file": str(path)} for path in written], json=json)


def matching_score(
    lines: Annotated[int, typer.Option("--lines", help="How many statement lines to make.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed they are made from.")] = 1,
    exact: Annotated[int | None, typer.Option("--exact", help="Match this many exact lines, and say how long.")] = None,
    json: Json = False,
) -> None:
    """Match labelled statements as banks write them, and print precision and recall. Exit status 1: a false match.

    With --exact: match so many exact lines on columns, and print the time beside that of the join of their keys alone.
    """
    from settlement_lab.scores import matching_score

    if exact is not None:
        speed = matching_score.speed(lines=exact, seed=seed)
        row = {
            "lines": speed.lines,
            "matched": speed.matched,
            "join_seconds": round(speed.join_seconds, 3),
            "match_seconds": round(speed.match_seconds, 3),
            "ratio": round(speed.ratio, 2),
        }
        _print_rows([row], json=json)
        return
    scores = matching_score.score(seed=seed, lines=lines)
    rows = [
        {
            "kind": found.kind,
            "lines": found.lines,
            "pairs": found.pairs,
            "found": found.found,
            "false": found.false,
            "precision": round(found.precision, 4),
            "recall": round(found.recall, 4),
        }
        for found in scores
    ]
    _print_rows(rows, json=json)
    raise typer.Exit(1 if scores[-1].false else 0)


@breaks.callback()
def list_breaks(context: typer.Context, json: Json = False) -> None:
    """List the open breaks, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from settlement import wiring

    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        found = books.breaks.open()
    names = (
        "break_id", "cause", "side", "subject_kind", "subject_id", "currency", "amount", "opened_on",
        "age_business_days", "state", "owner", "due_on", "comment",
    )  # fmt: skip
    _print_rows([{name: getattr(row, name) for name in names} for row in found], json=json)


@breaks.command()
def history(break_id: BreakId, json: Json = False) -> None:
    """Tell everything that happened to a break."""
    from settlement import wiring

    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        _print_rows([asdict(event) for event in books.breaks.history(break_id)], json=json)


@breaks.command()
def assign(
    break_id: BreakId,
    owner: Annotated[str, typer.Argument(help="Who takes it on.")],
    by: By,
    due: Annotated[str | None, typer.Option("--due", help="Until when, YYYY-MM-DD.")] = None,
) -> None:
    """Let somebody take a break on."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    with wiring.services() as services:
        deciding.assign(services, break_id, owner=owner, due_on=_date(due) if due else None, by=by, now=config.now())


@breaks.command()
def comment(break_id: BreakId, text: Annotated[str, typer.Argument(help="What to keep.")], by: By) -> None:
    """Keep what somebody says about a break."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    with wiring.services() as services:
        deciding.comment(services, break_id, text=text, by=by, now=config.now())


@breaks.command()
def match(
    break_id: BreakId,
    subject: Annotated[str, typer.Argument(help="receipt:ID, or payout:END_TO_END_ID.")],
    reason: Reason,
    by: By,
    json: Json = False,
) -> None:
    """Match the line of a break by hand, with a receipt or payout of the same amount."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    with wiring.services() as services:
        _print_done(
            deciding.match_by_hand(services, break_id, subject=subject, reason=reason, by=by, now=config.now()),
            json=json,
        )


@breaks.command(name="write-off")
def write_off(break_id: BreakId, reason: Reason, by: By, json: Json = False) -> None:
    """Write a break off; above the policy's limit a second person has to approve."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    with wiring.services() as services:
        _print_done(deciding.write_off(services, break_id, reason=reason, by=by, now=config.now()), json=json)


@breaks.command()
def book(
    break_id: BreakId,
    account: Annotated[str, typer.Argument(help="fee_income, vat_payable, bank_charges …")],
    reason: Reason,
    by: By,
    json: Json = False,
) -> None:
    """Book the line of a break to an account; above the policy's limit a second person has to approve."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    with wiring.services() as services:
        _print_done(
            deciding.book(services, break_id, account=account, reason=reason, by=by, now=config.now()), json=json
        )


@breaks.command()
def approve(break_id: BreakId, by: By, json: Json = False) -> None:
    """Approve, as a second person, what was asked for about a break."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    with wiring.services() as services:
        _print_done(deciding.approve(services, break_id, by=by, now=config.now()), json=json)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"[{text}] is not a date; write it as 2026-02-16") from None


def _print_done(done: Mapping[str, Any], *, json: bool) -> None:
    if json:
        print(jsons.dumps(done, ensure_ascii=False, indent=2, default=str))
    else:
        print(
            f"Break {done['break_id']}: {done['state']}" + (f", {done['resolution']}" if "resolution" in done else "")
        )


def _print_rows(rows: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        print(jsons.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    table = Table()
    for name in rows[0] if rows else ():
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(*("" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
                        for value in row.values()))  # fmt: skip
    Console().print(table if rows else "none")


def _print_certificate(found: Mapping[str, Any]) -> None:
    print(f"Certificate {found['number']} of {found['settlement_date']} r{found['revision']}, {found['issued_at']}")
    print(f"policy {found['policy']['name']} {found['policy']['version']}  {found['policy']['sha256']}")
    for name in ("input_sha256", "output_sha256", "code_version", "previous_sha256", "sha256"):
        print(f"{name:16} {found[name] or '-'}")
    _print_rows([{"side": side, **moved} for side, moved in found["movements"].items()], json=False)
    for currency, totals in found["totals"].items():
        print(f"{currency}: " + ", ".join(f"{name} {amount:,}" for name, amount in totals.items()))
    for kind, sums in found["payouts"].items():
        print(f"payouts {kind}: {sums['count']:,} / {sums['amount']:,}")
    if found["open_breaks"]:
        print("Open breaks:")
        _print_rows(found["open_breaks"], json=False)
    print("Sealed: " + ", ".join(f"{table} {sealed['rows']:,}" for table, sealed in found["sealed"].items()))
