"""The past settled in a database of its own, and held against what a former system paid."""

import sys
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from settlement import config
from settlement.cli import output
from settlement.cli.options import Json, Lang, parse_date
from settlement.domain.shadow.causes import Cause

MOST_LISTED = 50
"""So many differences that nothing explains stand in the text; a file or JSON has every one."""


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(shadow)


def shadow(
    since: Annotated[
        date, typer.Option("--from", metavar="DATE", parser=parse_date, help="The first date to compare, YYYY-MM-DD.")
    ],
    until: Annotated[
        date, typer.Option("--to", metavar="DATE", parser=parse_date, help="The last date to compare, YYYY-MM-DD.")
    ],
    against: Annotated[
        str, typer.Option("--against", metavar="FILE|RELATION", help="What the former system paid: CSV, Parquet, view.")
    ],
    opening: Annotated[
        str | None,
        typer.Option(
            "--opening",
            metavar="FILE|RELATION",
            help="Where the former system stood on the eve of the first date; without it all is settled from the first"
            " money on.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FOLDER", help="Write every difference there: XLSX, a sheet per cause, and CSV."
        ),
    ] = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Settle the past in a database of its own, and explain what a former system paid otherwise.

    The database is that of connection `settlement_shadow`; an earlier shadow in it goes, anything else is refused. The
    production ledger is never opened, and nobody is paid or told. Exit status 1: a difference is unexplained.
    """
    from settlement import wiring
    from settlement.stages import shadow as stage

    if until < since:
        raise typer.BadParameter(f"--to [{until}] lies before --from [{since}]")
    language, now = output.language(lang), config.now()
    out = output.answer(json=json, lang=lang)
    progress = output.Output(is_json=False, language=language, stream=sys.stderr)

    def tell(how_far: stage.Progress) -> None:
        said = {"done": how_far.done, "of": how_far.of, "on": how_far.on}
        if how_far.differing is None:
            progress.say("shadow_settled", **said)
        else:
            progress.say("shadow_compared", **said, differing=how_far.differing)

    with wiring.shadow(against=against, opening=opening) as (services, former):
        found = stage.shadow(
            services, former, since=since, until=until, is_opened=opening is not None, now=now, tell=tell
        )
    causes = stage.by_cause(found)
    written = []
    if report is not None:
        sheets = stage.sheets(found)
        written = wiring.write_differences(sheets, report, since=since, until=until, language=language.value)
    if not out.data(
        {
            "from": since,
            "to": until,
            "settled_from": found.settled_from,
            "settled": found.settled,
            "compared": found.compared,
            "payments": found.payments,
            "given": found.given,
            "unexplained": found.unexplained,
            "causes": causes,
            "differences": list(stage.listed(found)) if json else [],
        }
    ):
        out.say(
            "shadow_period",
            since=since,
            until=until,
            settled=found.settled,
            compared=found.compared,
            payments=f"{found.payments:,}",
            given=", ".join(out.heading(name) for name in found.given),
        )
        if not causes:
            out.say("shadow_same")
        else:
            out.table(causes)
        if found.unexplained:
            out.line("")
            out.say("shadow_unexplained", count=f"{found.unexplained:,}")
            rows = islice(stage.listed(found, Cause.UNEXPLAINED.value), MOST_LISTED)
            out.table(rows, (*stage.LISTED[:-1], *found.given))
            if found.unexplained > MOST_LISTED:
                out.say("shadow_more", count=f"{found.unexplained - MOST_LISTED:,}")
        for file in written:
            out.say("written", file=file)
    raise typer.Exit(1 if found.unexplained else 0)
