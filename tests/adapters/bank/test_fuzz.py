"""Valid files, damaged at random: each ends as a proven statement that the books can hold, or as a refusal with a
reason, never in anything else. The same is true of any bytes, whichever reader they are given to.

300 damaged files in the normal run; 10 000 with `-m slow`, which takes about two minutes.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats import csv_statement, document, mt940
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT
from settlement.domain.bank.messages import FileAnswer, Reading
from settlement.domain.bank.statement import Notification, Statement
from settlement.domain.errors import UnreadableMessage

from .bad_bank import BadBank, saying
from .mock_bank import http_bank

CORPUS = Path(__file__).parents[2] / "corpus"
GOOD = [
    (CORPUS / name).read_bytes()
    for name in (
        "camt/korean-08-receipt-payout-return-pending.xml",
        "camt/german-02-return-with-charges.xml",
        "camt/swiss-04-batches.xml",
        "camt/nordic-02-overdraft-fx-charges.xml",
        "camt/korean-08-two-pages.xml",
        "camt/swiss-054-04-credit-advice.xml",
        "mt940/german-sparkasse-gvc.sta",
        "mt940/dutch-ing-structured.sta",
        "mt940/korean-cp949-won.sta",
        "mt940/swiss-postfinance-pages.sta",
        "csv/korean-cp949.csv",
        "csv/korean-utf8-bom.csv",
        "camt/korean-02-ms949.xml",
        "camt/korean-02-charge-told-twice.xml",
        "camt/korean-02-utc-instants.xml",
        "camt/korean-02-batch-named-by-pmtinfid.xml",
        "mt940/dutch-pages-of-one-number.sta",
        "mt940/dutch-several-86.sta",
        "mt940/german-text-that-looks-like-every-tag.sta",
        "csv/korean-opposites-without-times.csv",
        "camt/korean-052-balances-that-explain-nothing.xml",
        "camt/korean-054-charge-at-the-transaction.xml",
        "camt/swiss-08-opening-between-pages.xml",
        "mt940/mt942-expected-and-booked.sta",
        "mt940/mt942-text-that-looks-like-tags.sta",
        "mt940/nigerian-lines-without-a-type.sta",
        "csv/branch-charge-in-its-own-column.csv",
    )
] + [
    b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt><GrpHdr>'
    b"<MsgId>R-1</MsgId></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>F-1</OrgnlMsgId><GrpSts>PART</GrpSts></OrgnlGrpInfAndSts>"
    b"<OrgnlPmtInfAndSts><PmtInfSts>PART</PmtInfSts><TxInfAndSts><OrgnlEndToEndId>P-1</OrgnlEndToEndId><TxSts>RJCT</TxSts>"
    b"<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
    b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.004.001.09"><PmtRtr>'
    b"<GrpHdr><MsgId>T-1</MsgId><NbOfTxs>1</NbOfTxs><CtrlSum>50</CtrlSum></GrpHdr><TxInf><OrgnlEndToEndId>P-1</OrgnlEndToEndId>"
    b'<RtrdIntrBkSttlmAmt Ccy="KRW">50</RtrdIntrBkSttlmAmt><IntrBkSttlmDt>2026-02-16</IntrBkSttlmDt></TxInf>'
    b"</PmtRtr></Document>",
]

NEW_YORK = ZoneInfo("America/New_York")
BRANCH_HEADER = "\n거래일시,시각,적요,출금액,입금액,수수료,거래후잔액,거래특이사항,거래번호\n".encode()
KOREAN_HEADER = "\n거래일시,적요,출금액,입금액,거래후잔액,거래특이사항,거래번호\n계좌번호,1\n".encode()

WORDS = [
    b"<Ntry>",
    b"</Ntry>",
    b"CRDT",
    b"DBIT",
    b"BOOK",
    b"KRW",
    b"USD",
    b"2026-02-30",
    b"-1",
    b"1e9",
    b"NaN",
    b"Infinity",
]
WORDS += [
    b"&amp;",
    b"&x;",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE x>",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"",
]
WORDS += [
    b":61:",
    b":62F:",
    b":20:",
    b"\r\n-\r\n",
    b"9" * 30,
    b"0",
    b",",
    b'"',
    b"\n",
    b"\xea\xb0\x80",
    b"<Amt Ccy='KRW'>1</Amt>",
    b"9" * 150,
    b"x" * 200,
    b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59-12:00",
    b"<DtTm>",
    b":86:",
    b":34F:",
    b":13D:",
    b"EC",
    b"<SubTp><Cd>INTM</Cd></SubTp>",
    b":60F:",
    b"\x1a",
    b"MS949",
    b"UTF-16",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One valid file after one to four accidents: bytes changed, words put in, parts cut out, repeated or swapped."""
    content = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(0, 60))
        match draw(st.integers(0, 6)):
            case 0:
                content = content[:place] + draw(st.binary(min_size=1, max_size=4)) + content[place + 1 :]
            case 1:
                content = content[:place] + draw(st.sampled_from(WORDS)) + content[place:]
            case 2:
                content = content[:place] + draw(st.sampled_from(WORDS)) + content[place + length :]
            case 3:
                content = content[:place] + content[place + length :]
            case 4:
                content = content[: place + length] + content[place:]
            case 5:
                digit = draw(st.sampled_from(b"0123456789"))
                places = [at for at, byte in enumerate(content) if 48 <= byte <= 57]
                if places:
                    at = places[place % len(places)]
                    content = content[:at] + bytes([digit]) + content[at + 1 :]
            case _:
                lines = content.split(b"\n")
                at = place % len(lines)
                lines[at : at + 2] = reversed(lines[at : at + 2])
                content = b"\n".join(lines)
    return content


def prove(content: bytes) -> None:
    """Read the file; whatever is read must hold, and whatever is refused must say why."""
    found: Reading | UnreadableMessage
    try:
        found = reading.read_content(content, columns=KOREAN_EXPORT, zone=NEW_YORK)
    except UnreadableMessage as refusal:
        found = refusal
    if isinstance(found, UnreadableMessage):
        assert found.reason
        return
    if isinstance(found, FileAnswer):
        assert found.group_status or len(found.payments)
        return
    assert found
    ids: list[str] = []
    for one in found:
        if isinstance(one, Statement):
            assert one.opening + sum(line.amount for line in one.lines) == one.closing
            assert max(abs(one.opening), abs(one.closing), one.sequence or 0) < 10**18
            assert len(one.statement_id) <= 140 and 1970 <= one.business_date.year <= 2199
        if isinstance(one, Statement | Notification):
            assert sum(abs(line.amount) for line in one.lines) < 10**18
            assert all(0 < line.transaction_count < 2**31 for line in one.lines)
            assert all(len(line.end_to_end_id or line.reference or "") <= 140 for line in one.lines)
            assert all(line.amount and line.currency == one.currency for line in one.lines)
            ids += [line.line_id for line in one.lines]
            assert "\0" not in "".join(line.remittance for line in one.lines)
        else:
            assert one.amount > 0 and one.end_to_end_id
    assert len(set(ids)) == len(ids)


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_a_damaged_file_is_proven_or_refused(content: bytes) -> None:
    prove(content)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(damaged())
def test_ten_thousand_damaged_files_are_proven_or_refused(content: bytes) -> None:
    prove(content)


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(max_size=400))
def test_bytes_at_random_are_refused(content: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        reading.read_content(content, columns=KOREAN_EXPORT)


FORMATS: dict[str, Callable[[bytes], object]] = {
    "XML": lambda content: document.parse(content, zone=NEW_YORK),
    "MT940": mt940.read,
    "CSV": lambda content: csv_statement.read(content, KOREAN_EXPORT),
    "CSV with charges": lambda content: csv_statement.read(
        content, replace(KOREAN_EXPORT, charge="수수료", booked_time="시각", account="1", account_label=None)
    ),
    "signed CSV": lambda content: csv_statement.read(
        content,
        replace(
            KOREAN_EXPORT,
            money_in=None,
            money_out=None,
            amount="출금액",
            direction="적요",
            debit=("출금",),
            credit=("입금",),
        ),
    ),
    "any bytes": lambda content: reading.read_content(content, zone=NEW_YORK),
    "day-first CSV": lambda content: csv_statement.read(content, replace(KOREAN_EXPORT, date_order="dmy", decimal=",")),
}
FIELDS = [
    b":20:",
    b":25:",
    b":28C:",
    b":60M:",
    b":62M:",
    b":64:",
    b":90D:",
    b":34F:KRW0,",
    b":13D:2602161200+0900",
    b":NS:",
    b"C260216KRW1,",
    b"2602160216D1,NTRFX",
]
PIECES = [
    *WORDS,
    *FIELDS,
    b"/1",
    b"-",
    KOREAN_HEADER,
    BRANCH_HEADER,
    b"2026.02.16 10:00:00,",
    b'"1,000",',
    b"\xc1\xb6",
    b"=",
]
PIECES += [b"<?xml version='1.0' encoding='", b"'?>"]


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=200, deadline=None, database=None)
@given(content=st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join))
def test_no_bytes_make_a_reader_raise_anything_but_its_refusal(name: str, content: bytes) -> None:
    assert outcome(FORMATS[name], content)


def outcome(read: Callable[[bytes], object], content: bytes) -> object:
    """Return what the reader reads, or the reason of its refusal."""
    try:
        return read(content)
    except UnreadableMessage as refusal:
        return refusal.reason


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(damaged(), max_size=3))
def test_a_mailbox_of_damaged_messages_neither_crashes_the_channel_nor_hides_what_was_in_it(
    contents: list[bytes],
) -> None:
    bank = BadBank({"GET": [saying(200, b"\n".join(contents))]})
    try:
        fetched = list(http_bank(bank.url, answer_seconds=5).fetch())
    finally:
        bank.close()
    kept = [without_blanks(message.content) for message in fetched if message.kind == "pain.002"]
    # What was sent is made of nothing but what was kept; what a bank says twice in one answer is kept once.
    one_of_them = b"|".join(re.escape(content) for content in kept)
    assert re.fullmatch(b"(?:%b)*" % one_of_them, without_blanks(b"".join(contents)))


def without_blanks(content: bytes) -> bytes:
    """Return the bytes that are neither white space nor what mailboxes put between messages."""
    return content.replace(b"\xef\xbb\xbf", b"").translate(None, b" \t\r\n\v\f\0\x1a")
