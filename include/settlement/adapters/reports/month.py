"""A month's report as files: a workbook and a page for people, a CSV of each table for programs; ids, and no names."""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from settlement.adapters import reports
from settlement.adapters.reports import paper
from settlement.domain import currencies
from settlement.domain.alerts.routing import Language
from settlement.domain.day_report import Cell, Sheet
from settlement.ports.month import TABLES

FOLDER = Path(__file__).parent
AMOUNTS = ("amount", "debit", "credit")
"""How the names of the columns end that hold amounts."""
NUMBERS = ("rate_ppm", "count", "revision", "certificate", "age_business_days")
"""How those end that hold other numbers."""
DATES = ("_date", "_on")
LEFT_OUT = ("sha256",)
"""What no page has room for; it stands in the workbook."""


def files(found: Mapping[str, Any], *, language: Language) -> Iterator[tuple[str, bytes]]:
    """Yield each file as (name, bytes); `found` is what `stages.month` says, with its certificate."""
    sheets, name = sheets_of(found), f"month-{found['month']}"
    words = catalogue(language)
    title = words["sentences"]["title"].format(**found)
    created = date.fromisoformat(found["last"])
    yield f"{name}.xlsx", reports.workbook_of(sheets, title=title, name=name, created=created, words=words)
    yield f"{name}.html", page(found, language=language)
    for sheet in sheets:
        yield f"{name}-{sheet.name}.csv", reports.csv_table(sheet.columns, sheet.rows)


def write(found: Mapping[str, Any], folder: Path, *, language: Language) -> list[Path]:
    """Write the files into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [reports.write_file(folder / name, content) for name, content in files(found, language=language)]


def sheets_of(found: Mapping[str, Any]) -> list[Sheet]:
    """Return the tables of a month, their dates as such."""
    return [
        Sheet(
            name=name,
            columns=columns,
            rows=[tuple(_cell(row[column], column) for column in columns) for row in found[name]],
        )
        for name, columns in TABLES.items()
    ]


def page(found: Mapping[str, Any], *, language: Language) -> bytes:
    """Return the month as a page that prints, in UTF-8."""
    words = catalogue(language)

    def written(row: Mapping[str, Any], name: str) -> str:
        value = row[name]
        if value is None:
            return ""
        if name.endswith(AMOUNTS):
            return currencies.to_grouped_text(value, row["currency"])
        named = words["values"].get(name, {}).get(value, value)
        return f"{named:,}" if isinstance(named, int) else str(named)

    text = paper.template("month.html").render(
        found=found,
        title=words["sentences"]["title"].format(**found),
        t=words["sentences"],
        tables=[(name, [one for one in columns if one not in LEFT_OUT]) for name, columns in TABLES.items()],
        called=lambda name: words["sheets"][name],
        heading=lambda name: words["columns"].get(name, name),
        is_number=lambda name: name.endswith((*AMOUNTS, *NUMBERS)),
        written=written,
        language=language,
    )
    return text.encode()


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """Return the words of a month in a language, and those of a day for what it has in common with it."""
    own = tomllib.loads((FOLDER / "month_words" / f"{language}.toml").read_text(encoding="utf-8"))
    of_day = reports.catalogue(language)
    shared = {name: of_day["sentences"][name] for name in ("total", "more")}
    return {
        **own,
        "sentences": own["sentences"] | shared,
        "columns": of_day["columns"] | own["columns"],
        "what": {},
    }


def _cell(value: Any, column: str) -> Cell:
    return date.fromisoformat(value) if value is not None and column.endswith(DATES) else value
