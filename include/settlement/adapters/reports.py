"""Reports as files: a workbook of the day, and CSV that a spreadsheet opens right. Same report, same bytes.

Text stays text: an id with leading zeros keeps them, and what begins like a formula is none. A workbook holds at most
1 048 576 rows a sheet; a larger table stands in the CSV alone, and its sheet says so.
"""

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import xlsxwriter

from settlement.domain.day_report import Cell, DayReport, Sheet

MOST_ROWS = 1_048_575
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def workbook(report: DayReport) -> bytes:
    """Return the report as XLSX, a sheet for each table, amounts with thousands separators."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(
        content,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
    )
    book.set_properties({"created": datetime.combine(report.settlement_date, datetime.min.time())})
    head = book.add_format({"bold": True, "bottom": 1})
    formats = {int: book.add_format({"num_format": "#,##0"}), date: book.add_format({"num_format": "yyyy-mm-dd"})}
    for sheet in report.sheets:
        page = book.add_worksheet(sheet.name)
        page.freeze_panes(1, 0)
        for column, name in enumerate(sheet.columns):
            page.write_string(0, column, name, head)
            page.set_column(column, column, _width(sheet, column))
        if len(sheet.rows) > MOST_ROWS:
            page.write_string(
                1, 0, f"{len(sheet.rows)} rows: more than a sheet holds; see {report.name}-{sheet.name}.csv"
            )
            continue
        for place, row in enumerate(sheet.rows, start=1):
            for column, value in enumerate(row):
                _write(page, place, column, value, formats)
    book.close()
    return content.getvalue()


def csv_files(report: DayReport) -> Iterator[tuple[str, bytes]]:
    """Yield each table as (file name, bytes): UTF-8 with BOM, so that spreadsheets read it right."""
    for sheet in report.sheets:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(sheet.columns)
        writer.writerows([_plain(value) for value in row] for row in sheet.rows)
        yield f"{report.name}-{sheet.name}.csv", text.getvalue().encode("utf-8-sig")


def write(report: DayReport, folder: Path) -> list[Path]:
    """Write the workbook and the CSV files into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in [(f"{report.name}.xlsx", workbook(report)), *csv_files(report)]:
        path = folder / name
        path.write_bytes(content)
        written.append(path)
    return written


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


def _width(sheet: Sheet, column: int) -> int:
    longest = max((len(str(row[column])) for row in sheet.rows[:200]), default=0)
    return min(60, max(len(sheet.columns[column]), longest) + 2)
