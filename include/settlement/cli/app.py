"""The command line: which commands there are, and how it ends.

The product's commands are added here, a module to a subject. Whoever else has commands to add names them in the entry
points `settlement.commands`: the lab does so, and the product does not know it.
"""

import sys
from importlib import metadata
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from settlement import config
from settlement.cli import alerts, breaks, close, day, doctor, output, payouts, restate, shadow
from settlement.cli.options import Json, Lang
from settlement.domain.commands import typed_as
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
        print(f"settlement: {typed_as(str(error), config.program())}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        sys.stdout = stdout


class _Commands(TyperGroup):
    """The product's commands, and those of the entry points, which are loaded when somebody types or lists them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(metadata.entry_points(group=COMMANDS).names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or next(
            (_loaded(found) for found in metadata.entry_points(group=COMMANDS, name=cmd_name)), None
        )


app = typer.Typer(
    cls=_Commands,
    name="settlement",
    help="The daily settlement of a peer-to-peer lender.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _subject in (day, restate, payouts, close, alerts, doctor, shadow):
    _subject.add_to(app)
app.add_typer(breaks.app, name="breaks")


@app.command()
def migrate(json: Json = False, lang: Lang = None) -> None:
    """Create or upgrade the settlement database that AIRFLOW_CONN_SETTLEMENT_DB names, its roles and views."""
    from settlement import wiring

    out = output.answer(json=json, lang=lang)
    database, revision = wiring.migrate()
    if not out.data({"database": database, "revision": revision}):
        out.say("migrated", database=database, revision=revision)


def _loaded(found: metadata.EntryPoint) -> Any:
    """Return a command that stands beside the product; one whose packages are not installed says which to install."""
    alone = typer.Typer(add_completion=False)
    try:
        alone.command(name=found.name, context_settings={"allow_interspersed_args": False})(found.load())
    except ModuleNotFoundError:
        needed = f"settlement[{found.module.partition('.')[0].removeprefix('settlement_')}]"

        @alone.command(
            name=found.name,
            help=escape(f"Not installed: needs {needed}."),
            add_help_option=False,
            context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        )
        def not_installed() -> None:
            raise Refused(f"`settlement {found.name}` is not installed: install `{needed}`")

    return typer.main.get_command(alone)
