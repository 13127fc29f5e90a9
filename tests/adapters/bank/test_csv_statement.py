"""A Korean bank's export: its encodings, its dates and its thousands, and the balances that prove every row."""

import datetime as dt
import re
from dataclasses import replace

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats import csv_statement
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT, ColumnMap
from settlement.domain.bank.statement import Statement
from settlement.domain.errors import UnreadableMessage

from .readings import parts

EXPORT = """거래내역조회,,,,,,
계좌번호,110-123-456789,,,,,
조회기간,2026.02.13 ~ 2026.02.16,,,,,
,,,,,,
거래일시,적요,출금액,입금액,거래후잔액,거래특이사항,거래번호
2026-02-13 09:01:02,타행이체,0,"1,000,000","1,500,000",박대출 VA-000123,T1
2026-02-16 10:00:00,펌뱅킹,"43,790",0,"1,456,210",S260216-1-A-KRW-1-1,T2
2026-02-16 10:00:00,펌뱅킹,"26,736",0,"1,429,474","S260216-1-B, KRW",T3
합계,,"70,526","1,000,000",,,
"""

AMOUNTS = replace(
    KOREAN_EXPORT, money_in=None, money_out=None, amount="금액", remittance=(), bank_reference=None, account="1"
)


def read(text: str, encoding: str = "utf-8", columns: ColumnMap = KOREAN_EXPORT) -> tuple[Statement, ...]:
    return csv_statement.read(text.encode(encoding), columns)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_an_export_is_a_statement_per_day_whatever_its_encoding(encoding: str) -> None:
    friday, monday = read(EXPORT, encoding)
    assert {statement.account for statement in (friday, monday)} == {"110-123-456789"}
    assert (friday.business_date, friday.opening, friday.closing) == (dt.date(2026, 2, 13), 500_000, 1_500_000)
    assert (monday.business_date, monday.opening, monday.closing) == (dt.date(2026, 2, 16), 1_500_000, 1_429_474)
    (line,) = friday.lines
    assert (line.amount, line.remittance, line.bank_reference) == (1_000_000, "타행이체\n박대출 VA-000123", "T1")
    assert [line.amount for line in monday.lines] == [-43_790, -26_736]
    assert monday.lines[1].remittance == "펌뱅킹\nS260216-1-B, KRW"


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_the_delimiter_is_the_one_in_which_the_header_stands(delimiter: str) -> None:
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", EXPORT.replace("S260216-1-B, KRW", "B")).replace('"', "")
    assert [statement.closing for statement in read(plain.replace(",", delimiter))] == [1_500_000, 1_429_474]


def test_newest_first_is_the_same_statement() -> None:
    lines = EXPORT.splitlines()
    turned = "\r\n".join([*lines[:5], *reversed(lines[5:8])])
    assert [statement.content_key for statement in read(turned)] == [
        statement.content_key for statement in read(EXPORT)
    ]


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-16",
        "2026.02.16",
        "2026/02/16",
        "20260216",
        "2026.2.16",
        "2026년 02월 16일",
        "2026-02-16T10:00",
        "2026.02.16 10:00:00",
    ],
)
def test_a_date_may_be_written_in_every_form_that_begins_with_its_year(written: str) -> None:
    (statement,) = read(f"거래일시,금액,거래후잔액\n{written},5,105\n", columns=AMOUNTS)
    assert statement.business_date == dt.date(2026, 2, 16)


@pytest.mark.parametrize("written", ["2026-02-30", "16.02.2026", "26.02.16", "2026111", "어제", "", "2026-02-16 noon"])
def test_a_date_that_may_be_another_is_refused(written: str) -> None:
    with pytest.raises(UnreadableMessage, match=r"line 2: .*date"):
        read(f"거래일시,금액,거래후잔액\n{written},5,105\n", columns=AMOUNTS)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("5000", 5000),
        ('"5,000"', 5000),
        ('"+5,000"', 5000),
        ('"₩5,000"', 5000),
        ('"5,000원"', 5000),
        ('" 5,000 "', 5000),
        ("5000.00", 5000),
        ('"-5,000"', -5000),
        ('"₩-5,000"', -5000),
        ('"(5,000)"', -5000),
        ('"=""5,000"""', 5000),
    ],
)
def test_an_amount_may_be_dressed_as_banks_dress_it(written: str, amount: int) -> None:
    (statement,) = read(f"거래일시,금액,거래후잔액\n2026-02-16,{written},{9000 + amount}\n", columns=AMOUNTS)
    assert [line.amount for line in statement.lines] == [amount]


@pytest.mark.parametrize("written", ['"1,23"', '"12,3456"', "5.5", "5e3", "--5", "₩", "５０００", "five", '"1.000,00"'])
def test_an_amount_that_may_be_another_is_refused(written: str) -> None:
    with pytest.raises(UnreadableMessage, match="line 2"):
        read(f"거래일시,금액,거래후잔액\n2026-02-16,{written},105\n", columns=AMOUNTS)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"1,456,210"', '"1,456,211"', r"line 7: the balance of a row does not follow"),
        ('"43,790",0', '"43,790",1', r"line 7: a row has money in and money out"),
        ('"70,526"', '"70,527"', r"line 9: the total of \[출금액\]"),
        ('"70,526","1,000,000"', '"70,526","1,000,001"', r"line 9: the total of \[입금액\]"),
        ('"1,429,474"', "", r"line 8: a row has no \[거래후잔액\]"),
        ("거래후잔액", "잔액", "declared columns"),
        ("계좌번호", "계좌", "names the account"),
        ("T3", "T3,extra", "line 8: a row has 8 cells"),
        ('"26,736"', '"26,736', "not a CSV"),
        ("합계,", "2026-02-12,", "line 9"),
        ("T1", "T\x001", "NUL"),
    ],
)
def test_an_export_that_proves_nothing_or_the_contrary_is_refused_with_its_line(
    before: str, after: str, why: str
) -> None:
    assert before in EXPORT
    with pytest.raises(UnreadableMessage, match=why):
        read(EXPORT.replace(before, after))


def test_an_export_without_movements_is_not_a_success() -> None:
    with pytest.raises(UnreadableMessage, match="no movement"):
        read("\n".join(EXPORT.splitlines()[:5]))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UnreadableMessage, match="utf-8-sig, cp949"):
        csv_statement.read(b"\xff\xff\xff", KOREAN_EXPORT)


def test_money_taken_back_in_its_own_column_is_a_reversal() -> None:
    header = "거래일시,적요,출금액,입금액,거래후잔액,거래특이사항,거래번호"
    corrected = f'{header}\n2026-02-16,정정,"-500",0,"1,500",,T1\n'
    (statement,) = read(corrected, columns=replace(KOREAN_EXPORT, account="1"))
    assert [(line.amount, line.is_reversal) for line in statement.lines] == [(500, True)]
    assert (statement.opening, statement.closing) == (1_000, 1_500)


def test_a_csv_is_read_only_where_its_columns_are_declared() -> None:
    content = EXPORT.encode()
    assert len(parts(reading.read_content(content, columns=KOREAN_EXPORT), Statement)) == 2
    with pytest.raises(UnreadableMessage):
        reading.read_content(content)
