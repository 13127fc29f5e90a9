"""The command line: which commands there are, and how it ends.

The product's commands are added here, a module to a subject. Whoever else has commands to add names them in the entry
points `settlement.commands`: the lab does so, and the product does not know it.
"""

import sys
from importlib import metadata

import typer
from rich.markup import escape

from settlement.cli import alerts, breaks, close, day, output, payouts
from settlement.cli.options import Json, Lang
from settlement.domain.errors import Refused, Unavailable

COMMANDS = "settlement.commands"
"""The group of entry points whose members are commands: each a function that Typer can take, and options first, so that
what follows may be a command with options of its own."""


def main() -> None:
    """Run the command line; a refusal is one sentence on standard error and exit status 1."""
    stdout = sys.stdout
    try:
        app(prog_name="settlement")
    except (Refused, Unavailable) as error:
        print(f"settlement: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        sys.stdout = stdout


def new_app() -> typer.Typer:
    """Return the command line with every command of the product and of what is installed beside it."""
    made = typer.Typer(
        name="settlement",
        help="The daily settlement of a peer-to-peer lender.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    made.command()(migrate)
    for subject in (day, payouts, close, alerts):
        subject.add_to(made)
    made.add_typer(breaks.app, name="breaks")
    for found in metadata.entry_points(group=COMMANDS):
        _add(made, found)
    return made


def migrate(json: Json = False, lang: Lang = None) -> None:
    """Create or upgrade the settlement database that AIRFLOW_CONN_SETTLEMENT_DB names, its roles and views."""
    from settlement import wiring

    out = output.answer(json=json, lang=lang)
    database, revision = wiring.migrate()
    if not out.data({"database": database, "revision": revision}):
        out.say("migrated", database=database, revision=revision)


def _add(to: typer.Typer, found: metadata.EntryPoint) -> None:
    """Add a command that stands beside the product; one whose packages are not installed says which to install."""
    try:
        to.command(name=found.name, context_settings={"allow_interspersed_args": False})(found.load())
    except ModuleNotFoundError:
        needed = f"settlement[{found.module.partition('.')[0].removeprefix('settlement_')}]"

        @to.command(
            name=found.name,
            help=escape(f"Not installed: needs {needed}."),
            add_help_option=False,
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )
        def not_installed() -> None:
            raise Refused(f"`settlement {found.name}` is not installed: install `{needed}`")


app = new_app()
