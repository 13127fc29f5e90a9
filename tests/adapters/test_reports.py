"""The files of a report: the same bytes again, text that stays text, nothing that a spreadsheet would run."""

import io
import re
import time
import zipfile
from datetime import date

from settlement.adapters import reports
from settlement.domain.alerts.routing import Language
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
    first = reports.workbook(REPORT, language="en")
    time.sleep(1.1)
    assert reports.workbook(REPORT, language="en") == first


def test_ids_are_text_and_formulas_are_not_run() -> None:
    with zipfile.ZipFile(io.BytesIO(reports.workbook(REPORT, language="en"))) as book:
        page = book.read("xl/worksheets/sheet1.xml").decode()
        strings = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in page
    assert "hyperlink" not in page
    assert "<t>000123</t>" in strings
    assert str(2**60) in strings
    assert "<v>43790</v>" in page


def parts(report: DayReport, *, language: Language) -> tuple[str, list[str]]:
    """Return the first page of a workbook, and the workbook's texts in the order in which they are first written."""
    with zipfile.ZipFile(io.BytesIO(reports.workbook(report, language=language))) as book:
        page = book.read("xl/worksheets/sheet1.xml").decode()
        texts = re.findall(r"<t[^>]*>([^<]*)</t>", book.read("xl/sharedStrings.xml").decode())
    return page, texts


PAYOUTS = DayReport(
    settlement_date=date(2026, 2, 16),
    revision=2,
    sheets=(
        Sheet(
            name="payouts",
            columns=("investor_id", "currency", "amount", "state"),
            rows=[("A", "KRW", 43790, "booked"), ("B", "EUR", 1050, "booked"), ("C", "KRW", 17524, "rejected")],
        ),
    ),
)


def test_a_sheet_says_its_date_and_sums_its_amounts_by_currency_in_either_language() -> None:
    page, texts = parts(PAYOUTS, language="en")
    assert texts[:5] == ["Settlement of 2026-02-16, revision 2: Payouts", "Investor", "Currency", "Amount", "State"]
    assert texts[-2:] == ["Total EUR", "Total KRW"]
    assert re.findall(r'<c r="C(\d)"[^>]*><v>(\d+)</v>', page)[1:] == [
        ("3", "43790"), ("4", "1050"), ("5", "17524"), ("6", "1050"), ("7", "61314"),
    ]  # fmt: skip
    _, texts = parts(PAYOUTS, language="ko")
    assert texts[:5] == ["2026-02-16 정산, 리비전 2: 지급", "투자자", "통화", "금액", "상태"]
    assert texts[-2:] == ["합계 EUR", "합계 KRW"]


def test_a_sheet_is_filtered_without_its_sums_and_as_wide_as_a_page() -> None:
    page, _ = parts(PAYOUTS, language="en")
    assert '<autoFilter ref="A2:D5"/>' in page
    assert '<pageSetUpPr fitToPage="1"/>' in page
    assert re.search(r'<pageSetup paperSize="9" (scale="\d+" )?fitToHeight="0" orientation="landscape"', page)
    assert "<oddFooter>&amp;LSettlement of 2026-02-16, revision 2: Payouts&amp;R&amp;P / &amp;N</oddFooter>" in page


def test_both_languages_have_the_same_words() -> None:
    korean, english = reports.catalogue("ko"), reports.catalogue("en")
    assert {table: set(words) for table, words in korean.items()} == {
        table: set(words) for table, words in english.items()
    }
    assert not re.search("[가-힣]", str(english))


def test_csv_begins_with_a_bom_and_disarms_formulas() -> None:
    files = dict(reports.csv_files(REPORT))
    assert files["settlement-2026-02-16-r1-shares.csv"].decode("utf-8") == (
        "\ufeffinvestor_id,net_amount,on\r\n"
        "000123,43790,2026-02-19\r\n"
        '"\'=cmd|""/c calc""!A1",1152921504606846976,\r\n'
        "http://x.test,-5,\r\n"
    )
