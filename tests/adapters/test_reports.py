"""The files of a report: the same bytes again, text that stays text, nothing that a spreadsheet would run."""

import io
import time
import zipfile
from datetime import date

from settlement.adapters import reports
from settlement.domain.day_report import DayReport, Sheet

REPORT = DayReport(
    settlement_date=date(2026, 2, 16),
    revision=1,
    sheets=(
        Sheet(
            name="shares",
            columns=("investor_id", "net_amount", "on"),
            rows=[
                ("000123", 43790, date(2026, 2, 19)),
                ('=cmd|"/c calc"!A1', 2**60, None),
                ("http://x.test", -5, None),
            ],
        ),
        Sheet(name="breaks", columns=("nothing",), rows=[]),
    ),
)


def test_the_same_report_is_the_same_bytes() -> None:
    first = reports.workbook(REPORT)
    time.sleep(1.1)
    assert reports.workbook(REPORT) == first


def test_ids_are_text_and_formulas_are_not_run() -> None:
    with zipfile.ZipFile(io.BytesIO(reports.workbook(REPORT))) as book:
        page = book.read("xl/worksheets/sheet1.xml").decode()
        strings = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in page
    assert "hyperlink" not in page
    assert "<t>000123</t>" in strings
    assert str(2**60) in strings
    assert "<v>43790</v>" in page


def test_csv_begins_with_a_bom_and_disarms_formulas() -> None:
    files = dict(reports.csv_files(REPORT))
    assert files["settlement-2026-02-16-r1-shares.csv"].decode("utf-8") == (
        "\ufeffinvestor_id,net_amount,on\r\n"
        "000123,43790,2026-02-19\r\n"
        '"\'=cmd|""/c calc""!A1",1152921504606846976,\r\n'
        "http://x.test,-5,\r\n"
    )
