"""Reports as files: a workbook of the day, and CSV that a spreadsheet opens right. Same report, same bytes.

A workbook is for people: in one language, each sheet with the settlement date above it, a filter on its columns, the
sums of its amounts by currency below, and as wide as a page. CSV is for programs: the names of its columns never
change. Text stays text: an id with leading zeros keeps them, and what begins like a formula is none. A workbook holds
at most 1 048 576 rows a sheet; a larger table stands in the CSV alone, and its sheet says so.
"""

import csv
import io
import tomllib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import xlsxwriter

from settlement.domain.alerts.routing import Language
from settlement.domain.day_report import Cell, DayReport, Sheet

FOLDER = Path(__file__).parent
MOST_ROWS = 1_048_500
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SUMMED = ("amount", "debit", "credit")
"""How the names of the columns end whose sums stand below a sheet."""
TITLE, HEADINGS, FIRST = 0, 1, 2
"""The rows of a sheet, counted from 0: its title, its headings, and where its table begins."""
A4 = 9


def workbook(report: DayReport, *, language: Language) -> bytes:
    """Return the report as XLSX, a sheet for each table, amounts with thousands separators."""
    words = catalogue(language)
    title = words["sentences"]["title"].format(date=report.settlement_date.isoformat(), revision=report.revision)
    return workbook_of(report.sheets, title=title, name=report.name, created=report.settlement_date, words=words)


def list_workbook(
    name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, title: str, on: date, language: Language
) -> bytes:
    """Return a list as XLSX of one sheet; `on` is the day on which it was made."""
    sheet = Sheet(name=name, columns=tuple(columns), rows=[tuple(row) for row in rows])
    return workbook_of([sheet], title=title, name=name, created=on, words=catalogue(language))


def workbook_of(sheets: Iterable[Sheet], *, title: str, name: str, created: date, words: Mapping[str, Any]) -> bytes:
    """Return tables as XLSX, a sheet for each, in the words of a catalogue; `name` is that of its CSV files."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(
        content,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
    )
    book.set_properties({"created": datetime.combine(created, datetime.min.time()), "title": title})
    bold = book.add_format({"bold": True})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    formats = {
        int: book.add_format({"num_format": "#,##0"}),
        date: book.add_format({"num_format": "yyyy-mm-dd", "align": "left"}),
    }
    of_sums: dict[type, object] = {int: book.add_format({"num_format": "#,##0", "bold": True, "top": 1})}
    for sheet in sheets:
        called = words["sheets"].get(sheet.name, sheet.name)
        page = book.add_worksheet(called)
        _lay_out(page, sheet, title=f"{title}: {called}")
        page.write_string(TITLE, 0, f"{title}: {called}", bold)
        rows = [
            [_said(value, column, words) for column, value in zip(sheet.columns, row, strict=True)]
            for row in sheet.rows
        ]
        for column, heading in enumerate(_headings(sheet, words)):
            page.write_string(HEADINGS, column, heading, head)
            page.set_column(column, column, _width(heading, [row[column] for row in rows[:200]]))
        if len(rows) > MOST_ROWS:
            file = f"{name}-{sheet.name}.csv"
            page.write_string(FIRST, 0, words["sentences"]["more"].format(count=f"{len(rows):,}", file=file))
            continue
        for place, row in enumerate(rows, start=FIRST):
            for column, value in enumerate(row):
                _write(page, place, column, value, formats)
        for place, (currency, sums) in enumerate(_sums(sheet).items(), start=FIRST + len(rows)):
            page.write_string(place, 0, f"{words['sentences']['total']} {currency}", bold)
            for column, amount in sums.items():
                _write(page, place, column, amount, of_sums)
    book.close()
    return content.getvalue()


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """Return the words of a workbook in a language."""
    return tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))


def _lay_out(page: xlsxwriter.worksheet.Worksheet, sheet: Sheet, *, title: str) -> None:
    """Have a sheet filtered by its columns on a screen, and as wide as a page on paper, the date on each."""
    page.freeze_panes(FIRST, 0)
    if sheet.rows:
        page.autofilter(HEADINGS, 0, HEADINGS + min(len(sheet.rows), MOST_ROWS), len(sheet.columns) - 1)
    page.set_landscape()
    page.set_paper(A4)
    page.fit_to_pages(1, 0)
    page.repeat_rows(TITLE, HEADINGS)
    page.set_footer(f"&L{title}&R&P / &N")


def _headings(sheet: Sheet, words: Mapping[str, Any]) -> list[str]:
    return [words["columns"].get(name, name) for name in sheet.columns]


def _said(value: Cell, column: str, words: Mapping[str, Any]) -> Cell:
    """Return a cell as people read it: what the catalogue names has words, everything else is itself."""
    named: Mapping[Cell, str] = words["what"] if column == "what" else words.get("values", {}).get(column, {})
    return named.get(value, value)


def _sums(sheet: Sheet) -> dict[str, dict[int, int]]:
    """Return the sums of a sheet by currency and column, if it has a currency."""
    summed = [place for place, name in enumerate(sheet.columns) if name.endswith(SUMMED)]
    if "currency" not in sheet.columns or not summed:
        return {}
    currency = sheet.columns.index("currency")
    sums: dict[str, Counter[int]] = defaultdict(Counter)
    for row in sheet.rows:
        for place in summed:
            value = row[place]
            sums[str(row[currency] or "")][place] += value if isinstance(value, int) else 0
    return {name: dict(found) for name, found in sorted(sums.items())}


def csv_files(report: DayReport) -> Iterator[tuple[str, bytes]]:
    """Yield each table as (file name, bytes)."""
    for sheet in report.sheets:
        yield f"{report.name}-{sheet.name}.csv", csv_table(sheet.columns, sheet.rows)


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table as CSV: UTF-8 with BOM, so that spreadsheets read it right."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def write(report: DayReport, folder: Path, *, language: Language) -> list[Path]:
    """Write the workbook and the CSV files into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [(f"{report.name}.xlsx", workbook(report, language=language)), *csv_files(report)]
    return [write_file(folder / name, content) for name, content in files]


def write_file(path: Path, content: bytes) -> Path:
    """Write a file, and return its path."""
    path.write_bytes(content)
    return path


def write_differences(
    sheets: Sequence[Sheet], folder: Path, *, since: date, until: date, language: Language
) -> list[Path]:
    """Write the differences of a period into a folder: a workbook, and a CSV file for each sheet; return the paths."""
    words, name = catalogue(language), f"shadow-{since.isoformat()}-{until.isoformat()}"
    title = words["sentences"]["shadow"].format(since=since.isoformat(), until=until.isoformat())
    folder.mkdir(parents=True, exist_ok=True)
    tables = [(f"{name}-{sheet.name}.csv", csv_table(sheet.columns, sheet.rows)) for sheet in sheets]
    book = (f"{name}.xlsx", workbook_of(sheets, title=title, name=name, created=until, words=words))
    for file, content in [book, *tables]:
        (folder / file).write_bytes(content)
    return [folder / file for file, _ in [book, *tables]]


def _write(
    page: xlsxwriter.worksheet.Worksheet, row: int, column: int, value: Cell, formats: dict[type, object]
) -> None:
    if isinstance(value, str):
        page.write_string(row, column, value)
    elif isinstance(value, int):
        # A spreadsheet counts in floats: what they cannot hold exactly stays text.
        if abs(value) < 2**53:
            page.write_number(row, column, value, formats[int])
        else:
            page.write_string(row, column, str(value))
    elif value is not None:
        page.write_datetime(row, column, datetime.combine(value, datetime.min.time()), formats[date])


def _plain(value: Cell) -> str | int:
    """Return what a CSV cell holds; text that a spreadsheet would take for a formula gets a quote before it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return value if isinstance(value, int) else value.isoformat()


def _width(heading: str, values: list[Cell]) -> int:
    """Return how many digits wide a column is; a syllable of Hangul is as wide as two."""
    longest = max(
        (_digits(f"{value:,}" if isinstance(value, int) else str(value or "")) for value in values), default=0
    )
    return min(60, max(_digits(heading) + 2, longest) + 2)


def _digits(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
