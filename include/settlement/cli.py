"""`settlement`: what finance and engineering type. Exit status 0 done, 1 failed or found something, 2 wrong usage."""

import json as jsons
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from settlement import cli_close, config
from settlement.domain.alerts.event import AlertState
from settlement.domain.errors import Refused, Unavailable

app = typer.Typer(
    name="settlement",
    help="The daily settlement of a peer-to-peer lender.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Language(StrEnum):
    """The language of prose."""

    KO = "ko"
    EN = "en"


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Lang = Annotated[Language, typer.Option("--lang", help="Language of the text.")]
OnDate = Annotated[
    str | None, typer.Argument(metavar="[DATE]", help="A settlement date, YYYY-MM-DD; the newest by default.")
]
cli_close.add_to(app)


@app.callback()
def _where_the_demo_stands(context: typer.Context) -> None:
    """The daily settlement of a peer-to-peer lender."""
    # What the demo tells people to type next works in the same shell: where no settlement database is configured and
    # a demo has been settled here, its data stands in.
    wants_help = any(word in ("--help", "-h") for word in sys.argv)
    if context.invoked_subcommand not in ("demo", "up", "migrate", "rehearse", "matching-score") and not wants_help:
        from settlement_lab.demo import run

        context.with_resource(run.stand_in())


def main() -> None:
    """Run the command line; a refusal is one sentence on standard error and exit status 1."""
    try:
        app()
    except (Refused, Unavailable) as error:
        print(f"settlement: {error}", file=sys.stderr)
        raise SystemExit(1) from None


@app.command()
def migrate(json: Json = False) -> None:
    """Create or upgrade the settlement database that AIRFLOW_CONN_SETTLEMENT_DB names, its roles and views."""
    import sqlalchemy as sa

    from settlement.adapters.ledger import migrate as migrations
    from settlement.adapters.ledger import unit_of_work

    url = config.connection("settlement_db").url()
    where = unit_of_work.describe(sa.make_url(url))
    try:
        revision = migrations.migrate(url)
    except sa.exc.OperationalError as error:
        raise Unavailable(
            f"Settlement database {where} does not answer: {str(error.orig).strip().splitlines()[0]}"
        ) from None
    _print(
        {"database": where, "revision": revision}, f"Settlement database {where} is at revision {revision}.", json=json
    )


@app.command()
def demo(
    json: Json = False,
    lang: Lang = Language.KO,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the demo; .settlement by default.")] = None,
) -> None:
    """Settle five days of a small platform on this machine, through Airflow: source, bank and Slack included."""
    from settlement_lab.demo import run

    raise typer.Exit(run.run(home or run.default_home(), json=json, lang=lang.value))


@app.command()
def up(
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the demo; .settlement by default.")] = None,
) -> None:
    """Open Airflow's pages on the demo's data, with users maker, checker and viewer; Ctrl-C stops everything."""
    from settlement_lab.demo import run

    raise typer.Exit(run.up(home or run.default_home()))


@app.command()
def status(settlement_date: OnDate = None, json: Json = False, lang: Lang = Language.KO) -> None:
    """Say where a settlement date stands, in the words of its Slack message. Exit status 1: it failed or is absent."""
    from settlement import wiring
    from settlement.stages import standing

    asked = _date(settlement_date) if settlement_date else None
    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        on = asked or books.days.newest()
        if on is None:
            raise Refused("No settlement date was ever opened: run the DAG daily_settlement, or `settlement demo`")
        status = standing.status(services, books, on)
        said = services.alerts.plain(standing.completed(services, books, on), language=lang.value)
    _print(status, "\n".join(filter(None, (said, status["failure"]))), json=json)
    raise typer.Exit(1 if status["state"] in ("absent", "failed") else 0)


@app.command()
def why(
    investor_id: Annotated[str, typer.Argument(metavar="INVESTOR", help="An investor's id.")],
    settlement_date: Annotated[str, typer.Argument(metavar="DATE", help="A settlement date, YYYY-MM-DD.")],
    json: Json = False,
    lang: Lang = Language.KO,
) -> None:
    """Explain an investor's money of a day: from the payout back to the repayments, line by line."""
    from settlement import wiring
    from settlement.stages import explain

    on = _date(settlement_date)
    with wiring.services() as services, services.ledger.books(read_only=True) as books:
        found = explain.why(books, investor_id, on)
    if json:
        print(jsons.dumps(found, ensure_ascii=False, indent=2, default=str))
    else:
        _print_why(found, lang)
    raise typer.Exit(0 if found["shares"] or found["payouts"] else 1)


@app.command()
def gate(
    settlement_date: OnDate = None,
    override: Annotated[bool, typer.Option("--override", help="Answer for everything that was said.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why it may be paid all the same.")] = "",
    json: Json = False,
    lang: Lang = Language.KO,
) -> None:
    """Say what was said against paying for a date, or answer for it. Exit status 1: nobody answers for something."""
    from settlement import wiring
    from settlement.stages import gate

    with wiring.services() as services:
        with services.ledger.books(read_only=True) as books:
            on = _date(settlement_date) if settlement_date else books.days.newest()
        if on is None:
            raise Refused("No settlement date was ever opened")
        if override:
            gate.override(services, on, by=by, reason=reason, now=config.now())
        found = gate.objections(services, on)
    if json:
        print(jsons.dumps([asdict(said) for said in found], ensure_ascii=False, indent=2, default=str))
    else:
        for said in found:
            answer = f" - {said.overridden_by}: {said.reason}" if said.overridden_by else ""
            print(f"{said.control}: {said.said}{answer}")
    raise typer.Exit(0 if all(said.overridden_by for said in found) else 1)


@app.command()
def unknown(
    absent: Annotated[str, typer.Option("--absent", metavar="FILE", help="The bank says it has nothing of FILE.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who asked the bank.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="What the bank said, and who.")] = "",
    json: Json = False,
    lang: Lang = Language.KO,
) -> None:
    """List the payment files of which nobody knows whether the bank has them. Exit status 1: there is one."""
    from settlement import wiring
    from settlement.stages import inquire

    with wiring.services() as services:
        if absent:
            inquire.declare_absent(services, absent, by=by, reason=reason, now=config.now())
        found = [asdict(file) for file in inquire.unknown_files(services)]
    if json:
        print(jsons.dumps(found, ensure_ascii=False, indent=2, default=str))
    elif found:
        _print_table(found, list(found[0]))
    raise typer.Exit(1 if found else 0)


@app.command()
def rehearse(
    seed: Annotated[int, typer.Option("--seed", help="The first seed; the same seed plays the same rehearsal.")] = 1,
    days: Annotated[int, typer.Option("--days", help="Settlement dates of each seed.")] = 20,
    seeds: Annotated[int, typer.Option("--seeds", help="So many seeds, one after the other.")] = 1,
    json: Json = False,
    lang: Lang = Language.KO,
) -> None:
    """Rehearse months of bad days: a random lender, a bank and a network that misbehave, kills, and an auditor.

    Exit status 1: the auditor found a violation; the command that plays it again is printed.
    """
    from settlement_lab.rehearse import play

    raise typer.Exit(play.run(seed, days, seeds=seeds, json=json, lang=lang.value))


@app.command()
def alerts(
    settlement_date: OnDate = None,
    resend: Annotated[bool, typer.Option("--resend", help="Try the failed ones again, and deliver now.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Test the Slack connection and its scopes.")] = False,
    state: Annotated[str | None, typer.Option(help=f"Only this state: {', '.join(AlertState)}.")] = None,
    json: Json = False,
    lang: Lang = Language.KO,
) -> None:
    """List the alerts of a day (all by default), resend what failed, or test the connection."""
    from settlement import wiring

    with wiring.services() as services:
        if test:
            found = services.alerts.test_connection()
            _print(found, "\n".join(f"{key}: {value}" for key, value in found.items()), json=json)
            raise typer.Exit(0 if found.get("ok") else 1)
        if resend:
            services.alerts.resend()
            services.alerts.deliver(now=config.now())
        rows = services.alerts.listing(settlement_date=_date(settlement_date) if settlement_date else None, state=state)
    if json:
        print(jsons.dumps(rows, ensure_ascii=False, indent=2, default=str))
    else:
        _print_table(
            rows, ("alert_id", "settlement_date", "event", "severity", "channel", "state", "attempts", "last_error")
        )


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    json: Json = False,
    lang: Lang = Language.KO,
) -> None:
    """Watch from outside Airflow: absent runs, deadlines, a dead scheduler; deliver alerts within seconds."""
    from settlement import wiring
    from settlement.adapters import airflow_health
    from settlement.stages import watch as watching

    user = config.optional_connection("settlement_airflow")
    airflow = airflow_health.reader(
        config.airflow_health_url(),
        login=(user.login, user.password) if user and user.login and user.password else None,
    )
    with wiring.services() as services:
        raise typer.Exit(watching.run(services, now=config.now, once=once, airflow=airflow))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"[{text}] is not a date; write it as 2026-02-16") from None


def _print(value: Any, text: str, *, json: bool) -> None:
    print(jsons.dumps(value, ensure_ascii=False, indent=2, default=str) if json else text)


def _print_why(found: Mapping[str, Any], lang: Language) -> None:
    for payout in found["payouts"]:
        print(f"{payout['end_to_end_id']}  {payout['currency']} {payout['amount']:,}  {payout['state']}")
    _print_table(
        found["shares"],
        ("repayment_id", "loan_id", "receivable_id", "note_id", "component", "gross_amount", "fee_amount", "vat_amount",
         "national_tax_amount", "local_tax_amount", "net_amount"),
    )  # fmt: skip
    for currency, sums in found["totals"].items():
        print(f"{currency}: " + ", ".join(f"{name} {amount:,}" for name, amount in sums.items()))


def _print_table(rows: Iterable[Mapping[str, Any]], columns: Iterable[str], *, title: str | None = None) -> None:
    table = Table(title=title)
    names = list(columns)
    for name in names:
        table.add_column(name, justify="right" if name.endswith(("amount", "days")) else "left")
    for row in rows:
        table.add_row(
            *(f"{row[n]:,}" if isinstance(row[n], int) and n.endswith("amount") else str(row[n]) for n in names)
        )
    # A pipe has no width of its own: figures are never cut there.
    Console(width=None if sys.stdout.isatty() else 220).print(table)


if __name__ == "__main__":
    main()
