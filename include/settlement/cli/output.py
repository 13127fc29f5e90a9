"""What a command prints, on standard output and nowhere else: data as JSON, or text in one language.

Text is sentences of the catalogue and tables. A terminal shows no column in which nothing stands, and a table that is
wider than it row by row, a line for each value; into a pipe every row is one line, however long, with every column.
Nothing is ever cut off.
"""

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from settlement import config
from settlement.cli.options import Language
from settlement.domain.commands import typed_as

FOLDER = Path(__file__).parent / "catalogues"
WIDEST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The answer of one command: JSON if it was asked for, text otherwise."""

    is_json: bool
    language: Language
    stream: TextIO

    def data(self, value: Any) -> bool:
        """Print the value if JSON was asked for, and tell whether it was: if not, the caller prints text."""
        if self.is_json:
            print(json.dumps(value, ensure_ascii=False, indent=2, default=str), file=self.stream, flush=True)
        return self.is_json

    def line(self, text: str) -> None:
        """Print text, its commands as they are typed here."""
        print(typed_as(text, config.program()), file=self.stream, flush=True)

    def say(self, key: str, **values: object) -> None:
        """Print a sentence of the catalogue with the values written into its places."""
        self.line(str(catalogue(self.language)["sentences"][key]).format(**values))

    def heading(self, name: str) -> str:
        """Return what the catalogue calls a column; one that it does not name is called by its own name."""
        return str(catalogue(self.language)["columns"].get(name, name))

    def table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
        """Print rows as a table of these columns, by default those of the first row; "none" if there is no row."""
        found = list(rows)
        if not found:
            self.say("none")
            return
        names = columns or tuple(found[0])
        console = Console(file=self.stream, highlight=False)
        if console.is_terminal:
            names = [name for name in names if any(row[name] is not None for row in found)] or names
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in names:
            is_number = all(isinstance(row[name], int | float | None) for row in found)
            grid.add_column(self.heading(name), justify="right" if is_number else "left", no_wrap=True)
        for row in found:
            grid.add_row(*(Text(written(row[name])) for name in names))
        width = Measurement.get(console, _wide(console), grid).maximum
        if width > console.width and console.is_terminal:
            for row in found:
                console.print(self._record(row, names))
            return
        console.width = max(console.width, width)
        console.print(grid)

    def marked(self, mark: str, *texts: str, width: int) -> None:
        """Print texts behind a mark, one below the other; a terminal has them beside it, however long they are."""
        console = Console(file=self.stream, highlight=False)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, min_width=width, style="bold")
        grid.add_column(overflow="fold")
        for number, text in enumerate(texts):
            grid.add_row("" if number else mark, Text(typed_as(text, config.program())))
        if not console.is_terminal:
            console.width = max(console.width, Measurement.get(console, _wide(console), grid).maximum)
        console.print(grid)

    def _record(self, row: Mapping[str, Any], names: Sequence[str]) -> Table:
        """Return one row as lines of heading and value, and an empty line."""
        record = Table.grid(padding=(0, 2, 0, 0))
        record.add_column(no_wrap=True, style="bold")
        record.add_column(overflow="fold")
        for name in names:
            if row[name] is not None:
                record.add_row(self.heading(name), Text(written(row[name])))
        record.add_row()
        return record


def _wide(console: Console) -> ConsoleOptions:
    return console.options.update(max_width=WIDEST)


def answer(*, json: bool, lang: Language | None) -> Output:
    """Return where a command's answer goes: to standard output, which from here on belongs to it alone.

    Whatever else is printed goes to standard error, also by a library that logs where it likes: what reads JSON reads
    nothing but JSON. `main` gives standard output back.
    """
    made = Output(is_json=json, language=Language.EN if json else language(lang), stream=sys.stdout)
    sys.stdout = sys.stderr
    return made


def language(asked: Language | None) -> Language:
    """Return the language that was asked for, or else the policy's."""
    if asked is not None:
        return asked
    from settlement import wiring

    return Language(wiring.language())


def written(value: object) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


@cache
def catalogue(language: Language, *room: str) -> Mapping[str, Any]:
    """Return the sentences and the names of the columns in a language, or those of a room beside them."""
    return tomllib.loads(FOLDER.joinpath(*room, f"{language}.toml").read_text(encoding="utf-8"))
