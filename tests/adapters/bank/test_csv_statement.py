"""A Korean bank's export: its encodings, its dates and its thousands, and the balances that prove every row."""

import datetime as dt
import re
from dataclasses import replace
from typing import Any

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats import csv_statement
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT, ColumnMap
from settlement.domain.bank.statement import Statement, chosen
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


OPPOSITES = "거래일시,금액,거래후잔액\n{},50,100\n{},-50,50\n"


def test_of_rows_that_follow_from_one_another_both_ways_the_times_tell_which_came_first() -> None:
    (newest_first,) = read(OPPOSITES.format("2026-02-16 15:10:00", "2026-02-16 09:05:00"), columns=AMOUNTS)
    (oldest_first,) = read(OPPOSITES.format("2026-02-16 09:05", "2026-02-16 15:10"), columns=AMOUNTS)
    assert (newest_first.opening, newest_first.closing, newest_first.otherwise) == (100, 100, None)
    assert (oldest_first.opening, oldest_first.closing, oldest_first.otherwise) == (50, 50, None)
    apart = "거래일시,시각,금액,거래후잔액\n2026-02-16,15:10,50,100\n2026-02-16,9:05,-50,50\n"
    (found,) = read(apart, columns=replace(AMOUNTS, booked_time="시각"))
    assert (found.opening, found.otherwise) == (100, None)


@pytest.mark.parametrize("times", [("", ""), (" 09:05", " 09:05"), (" 09:05", "")])
def test_rows_that_follow_both_ways_without_times_are_read_in_both(times: tuple[str, str]) -> None:
    (found,) = read(OPPOSITES.format(*(f"2026-02-16{time}" for time in times)), columns=AMOUNTS)
    assert found.otherwise is not None
    assert (found.opening, found.otherwise.opening) == (50, 100)


def known(day: int, opening: int, closing: int) -> Statement:
    rows = f"거래일시,금액,거래후잔액\n2026-02-{day},{closing - opening},{closing}\n"
    return read(rows, columns=AMOUNTS)[0]


@pytest.mark.parametrize(
    ("chain", "opening"),
    [
        ([known(13, 20, 50)], 50),
        ([known(13, 20, 100)], 100),
        ([known(12, 0, 100), known(13, 100, 50)], 50),
        ([known(17, 100, 120)], 100),
        ([known(13, 20, 50), known(17, 50, 120)], 50),
    ],
)
def test_the_statements_of_the_days_around_it_tell_which_of_two_readings_is_right(
    chain: list[Statement], opening: int
) -> None:
    (found,) = read(OPPOSITES.format("2026-02-16", "2026-02-16"), columns=AMOUNTS)
    right = chosen(found, chain)
    assert (right.opening, right.closing, right.otherwise) == (opening, opening, None)


@pytest.mark.parametrize(
    "chain", [[], [known(13, 20, 70)], [known(16, 20, 50)], [known(13, 20, 50), known(17, 100, 120)]]
)
def test_two_readings_of_which_nothing_tells_the_right_one_are_refused(chain: list[Statement]) -> None:
    (found,) = read(OPPOSITES.format("2026-02-16", "2026-02-16"), columns=AMOUNTS)
    with pytest.raises(UnreadableMessage, match=r"it opens with \[50\] or with \[100\]"):
        chosen(found, chain)


GERMAN = ColumnMap(
    currency="EUR", account="1", booked_on="Tag", amount="Betrag", balance="Saldo", date_order="dmy", decimal=","
)


@pytest.mark.parametrize(
    ("day", "amount"),
    [
        ("16.02.2026", "1.250,50"),
        ("16/2/26", "1250,5"),
        ("16-02-2026 10:00", "€1 250,50"),
        ("16.02.26", "1'250,50 EUR"),
    ],
)
def test_declared_forms_of_dates_and_amounts_are_read(day: str, amount: str) -> None:
    (found,) = read(f'Tag;Betrag;Saldo\n{day};{amount};"2.250,50+"\n', columns=GERMAN)
    assert (found.business_date, found.opening, found.closing) == (dt.date(2026, 2, 16), 100_000, 225_050)


@pytest.mark.parametrize(
    ("day", "amount"),
    [
        ("2026-02-16", "5"),
        ("02/16/2026", "5"),
        ("16.02.", "5"),
        ("16.02.26", "1,250.50"),
        ("16.02.26", "$5"),
        ("16.02.26", "-5-"),
    ],
)
def test_what_is_not_in_the_declared_form_is_refused(day: str, amount: str) -> None:
    with pytest.raises(UnreadableMessage, match="line 2"):
        read(f'Tag;Betrag;Saldo\n{day};"{amount}";5\n', columns=GERMAN)


def test_a_column_of_words_says_the_direction() -> None:
    columns = replace(GERMAN, direction="S/H", debit=("S", "Soll"), credit=("H",))
    (found,) = read("Tag;Betrag;S/H;Saldo\n16.02.26;5;H;105\n16.02.26;7;soll;98\n16.02.26;-2;S;100\n", columns=columns)
    assert [(line.amount, line.is_reversal) for line in found.lines] == [(500, False), (-700, False), (200, True)]


def test_what_the_bank_charges_beside_a_row_is_a_line_of_its_own() -> None:
    columns = replace(KOREAN_EXPORT, account="1", charge="수수료", remittance=(), end_to_end_id="적요")
    header = "거래일시,적요,출금액,입금액,수수료,거래후잔액,거래번호"
    rows = "2026-02-16,P-1,43790,0,500,955710,T1\n2026-02-16,R-1,0,95000,0,1050710,T2\n"
    (found,) = read(f"{header}\n{rows}", columns=columns)
    assert (found.opening, found.closing) == (1_000_000, 1_050_710)
    assert [(line.amount, line.end_to_end_id, line.bank_reference, line.is_charge) for line in found.lines] == [
        (-43_790, "P-1", "T1", False),
        (-500, None, "T1", True),
        (95_000, "R-1", "T2", False),
    ]
    with pytest.raises(UnreadableMessage, match="line 3: the balance of a row does not follow"):
        read(f"{header}\n{rows}".replace("95000,0,", "95000,1,"), columns=columns)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"balance": ""}, "without running balances an export proves nothing"),
        ({"amount": None}, "money_in and money_out, or amount"),
        ({"money_in": "x"}, "money_in and money_out, or amount"),
        ({"money_in": "x", "money_out": "y"}, "money_in and money_out, or amount"),
        ({"direction": "S/H"}, "the words of debit and those of credit"),
        ({"debit": ("S",), "credit": ("H",)}, "the words of debit and those of credit"),
        ({"account": None}, "account_label"),
        ({"date_order": "ydm"}, "ymd, dmy, mdy"),
        ({"decimal": ";"}, "decimal one of"),
        ({"currency": "DEM"}, "ISO 4217"),
        ({"remittance": "Zweck"}, "is not a list of texts"),
        ({"reference": ("a",)}, "is not a text"),
        ({"balance": 5}, "is not a text"),
    ],
)
def test_a_map_that_declares_too_little_or_twice_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(GERMAN, **changes)


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(UnreadableMessage, match=r"line 1: .* lacks \['Saldo'\]; without running balances"):
        read('"Tag","Betrag","Balance"\n"16.02.26","5","15"\n', columns=GERMAN)
    with pytest.raises(UnreadableMessage, match=r"line 3: .* lacks \['Betrag'\]$"):
        read("Konto\n\nTag;Umsatz;Saldo\n16.02.26;5;15\n", columns=GERMAN)


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
