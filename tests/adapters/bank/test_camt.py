"""Statements and notifications: what becomes a line, and which contradiction refuses the whole message."""

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from settlement.adapters.bank import reading
from settlement.domain.bank.statement import Notification, Statement, StatementLine
from settlement.domain.errors import UnreadableMessage

from .camt_files import ACCOUNT, balance, camt053, camt054, detail, entry, statement
from .readings import parts

CORPUS = Path(__file__).parents[2] / "corpus" / "camt"


def the_statement(content: bytes) -> Statement:
    (found,) = parts(reading.read_content(content), Statement)
    return found


def the_line(one_entry: str, *, closing: str) -> StatementLine:
    (line,) = the_statement(camt053(statement(one_entry, closing=closing))).lines
    return line


def amounts(content: bytes) -> list[tuple[str | None, int]]:
    return [(line.end_to_end_id, line.amount) for line in the_statement(content).lines]


def refused(content: bytes) -> UnreadableMessage:
    with pytest.raises(UnreadableMessage) as refusal:
        reading.read_content(content)
    return refusal.value


# ------------------------------------------------------------------------------------------------------- what it says


def test_a_statement_says_whose_it_is_what_it_opens_and_closes_with_and_what_came_between() -> None:
    found = the_statement(
        camt053(
            statement(
                entry("500", "CRDT", detail("E-1", "500")),
                entry("200", "DBIT", detail("E-2", "200")),
                opening="1000",
                closing="1300",
                more="<FrToDt><FrDtTm>2026-02-16T00:00:00+09:00</FrDtTm><ToDtTm>2026-02-16T23:59:59+09:00</ToDtTm></FrToDt>",
            )
        )
    )
    assert (found.statement_id, found.sequence, found.account, found.currency) == ("S-1", 7, ACCOUNT, "KRW")
    assert (found.opening, found.closing, found.entered) == (1000, 1300, 300)
    assert {found.business_date, found.from_date, found.to_date} == {dt.date(2026, 2, 16)}
    assert [(line.end_to_end_id, line.amount) for line in found.lines] == [("E-1", 500), ("E-2", -200)]


@pytest.mark.parametrize("version", ["02", "03", "04", "06", "08", "10", "13"])
def test_every_version_is_read(version: str) -> None:
    status = "BOOK" if version in ("02", "03") else "<Cd>BOOK</Cd>"
    content = camt053(statement(entry("5", "CRDT", detail("E-1"), status=status), closing="1005"), version=version)
    assert amounts(content) == [("E-1", 5)]


def test_a_balance_below_zero_is_a_debit() -> None:
    balances = [balance("OPBD", "1000", sign="DBIT"), balance("CLBD", "500", sign="DBIT")]
    found = the_statement(camt053(statement(entry("500"), balances=balances)))
    assert (found.opening, found.closing) == (-1000, -500)


def test_the_former_closing_serves_as_opening() -> None:
    balances = [
        balance("PRCD", "1000", "2026-02-13"),
        balance("CLBD", "1500"),
        balance("CLAV", "9"),
        balance("FWAV", "9"),
    ]
    found = the_statement(camt053(statement(entry("500"), balances=balances)))
    assert (found.opening, found.business_date) == (1000, dt.date(2026, 2, 16))


def test_pages_of_a_statement_are_a_chain_of_statements() -> None:
    first = statement(
        entry("500"),
        balances=[balance("OPBD", "1000"), balance("ITBD", "1500")],
        more="<StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn>",
    )
    second = statement(
        entry("100"),
        balances=[balance("ITBD", "1500"), balance("CLBD", "1600")],
        more="<StmtPgntn><PgNb>2</PgNb><LastPgInd>true</LastPgInd></StmtPgntn>",
    )
    found = parts(reading.read_content(camt053(first, second)), Statement)
    assert [(page.statement_id, page.opening, page.closing) for page in found] == [
        ("S-1/1", 1000, 1500),
        ("S-1/2", 1500, 1600),
    ]


def test_several_statements_in_a_file_are_several_and_the_same_one_twice_is_one() -> None:
    one, two = statement(name="S-1"), statement(entry("5"), name="S-2", closing="1005")
    found = parts(reading.read_content(camt053(one, two, one)), Statement)
    assert [statement.statement_id for statement in found] == ["S-1", "S-2"]
    assert "twice" in refused(camt053(one, statement(entry("5"), closing="1005"))).reason


def test_only_what_is_booked_moves_the_balance() -> None:
    found = the_statement(
        camt053(
            statement(
                entry("500"),
                entry("70", status="<Cd>PDNG</Cd>"),
                entry("80", status="<Prtry>X</Prtry>"),
                closing="1500",
            )
        )
    )
    assert ([line.amount for line in found.lines], found.not_booked) == ([500], 2)


def test_an_entry_of_nothing_is_no_line() -> None:
    assert amounts(camt053(statement(entry("0"), entry("5"), closing="1005"))) == [(None, 5)]


def test_a_notification_of_nothing_is_right_and_says_nothing() -> None:
    (found,) = parts(reading.read_content(camt054()), Notification)
    assert (found.account, found.currency, found.lines) == (ACCOUNT, None, ())


def test_a_notified_entry_without_a_date_is_of_the_day_of_its_message_or_of_its_value() -> None:
    undated = entry("5").replace("<BookgDt><Dt>2026-02-16</Dt></BookgDt>", "<ValDt><Dt>2026-02-18</Dt></ValDt>")
    created = b"<CreDtTm>2026-02-16T18:00:00</CreDtTm>"
    in_header = camt054(undated).replace(created + b"<Acct>", b"<Acct>")
    in_neither = in_header.replace(created, b"")
    found = [parts(reading.read_content(content), Notification)[0] for content in (in_header, in_neither)]
    days = [notification.lines[0].booking_date.day for notification in found]
    assert days == [16, 18]


def test_a_notification_has_lines_and_no_balance() -> None:
    content = camt054(entry("43790", "DBIT", detail("E-1")), entry("5", status="<Cd>PDNG</Cd>"))
    (found,) = parts(reading.read_content(content), Notification)
    assert (found.notification_id, found.account, found.currency, found.not_booked) == ("N-1", ACCOUNT, "KRW", 1)
    assert [(line.end_to_end_id, line.amount) for line in found.lines] == [("E-1", -43_790)]


# --------------------------------------------------------------------------------------------------- what a line says


def test_references_stand_apart_from_the_text() -> None:
    line = the_line(
        entry(
            "500",
            "CRDT",
            detail(
                "NOTPROVIDED",
                more="<RltdPties><Dbtr><Pty><Nm>박대출</Nm></Pty></Dbtr><DbtrAcct><Id><Othr><Id>999-1</Id></Othr></Id>"
                "</DbtrAcct></RltdPties><RmtInf><Ustrd>REF VA-00</Ustrd><Ustrd>0123</Ustrd>"
                "<Strd><CdtrRefInf><Ref>VA-000123</Ref></CdtrRefInf></Strd></RmtInf>",
            ),
            more="<ValDt><Dt>2026-02-14</Dt></ValDt><AcctSvcrRef>B-77</AcctSvcrRef><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT"
            "</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>",
        ),
        closing="1500",
    )
    assert (line.end_to_end_id, line.reference, line.bank_reference) == (None, "VA-000123", "B-77")
    assert (line.remittance, line.counterparty_account) == ("REF VA-00\n0123", "999-1")
    assert (line.value_date, line.bank_code) == (dt.date(2026, 2, 14), "PMNT/RCDT/ESCT")
    assert "박대출" not in repr(line) and "999-1" not in repr(line)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>", "AC04"),
        ("<RtrInf><Rsn><Prtry>closed</Prtry></Rsn></RtrInf>", "closed"),
        ("<RtrInf><RtrRsn><Cd>MD07</Cd></RtrRsn></RtrInf>", "MD07"),
    ],
)
def test_a_return_says_why(where: str, reason: str) -> None:
    line = the_line(entry("500", "CRDT", detail("E-1", more=where)), closing="1500")
    assert (line.is_return, line.reason, line.end_to_end_id) == (True, reason, "E-1")


def test_a_return_is_known_by_its_code_alone() -> None:
    code = "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>RRTN</SubFmlyCd></Fmly></Domn></BkTxCd>"
    assert the_line(entry("500", "CRDT", more=code), closing="1500").is_return is True


def test_a_reversal_is_marked_and_has_its_own_direction() -> None:
    line = the_line(entry("500", "DBIT", more="<RvslInd>true</RvslInd>"), closing="500")
    assert (line.amount, line.is_reversal, line.is_return) == (-500, True, False)


def test_a_code_of_the_banks_own_is_kept_as_it_is() -> None:
    line = the_line(
        entry("500", "CRDT", more="<BkTxCd><Prtry><Cd>NTRF+166</Cd><Issr>DK</Issr></Prtry></BkTxCd>"), closing="1500"
    )
    assert line.bank_code == "NTRF+166"


def test_a_line_has_the_same_id_whatever_stands_around_it() -> None:
    lines = [
        entry("500", "CRDT", detail("E-1")),
        entry("70", "CRDT", detail("E-2")),
        entry("70", "CRDT", detail("E-2")),
    ]
    there = the_statement(camt053(statement(*lines, closing="1640")))
    back = the_statement(camt053(statement(*reversed(lines), closing="1640"), version="04"))
    assert sorted(line.line_id for line in there.lines) == sorted(line.line_id for line in back.lines)
    assert len({line.line_id for line in there.lines}) == 3
    assert there.content_key == back.content_key


def test_a_statement_under_another_name_says_the_same_and_has_other_lines() -> None:
    one = the_statement(camt053(statement(entry("500"), closing="1500", name="S-1")))
    two = the_statement(camt053(statement(entry("500"), closing="1500", name="S-2")))
    assert one.content_key == two.content_key
    assert one.lines[0].line_id != two.lines[0].line_id
    other = the_statement(camt053(statement(entry("500", "CRDT", detail("E-1")), closing="1500")))
    assert other.content_key != one.content_key


# ---------------------------------------------------------------------------------------------------- batches, charges


def test_a_batch_is_a_line_per_transaction() -> None:
    batch = "<Btch><NbOfTxs>2</NbOfTxs><TtlAmt Ccy='KRW'>70</TtlAmt></Btch>"
    content = camt053(
        statement(entry("70", "DBIT", detail("E-1", "50"), detail("E-2", "20"), batch=batch), closing="930")
    )
    assert amounts(content) == [("E-1", -50), ("E-2", -20)]


def test_a_batch_of_credits_with_one_taken_back() -> None:
    content = camt053(
        statement(
            entry("30", "CRDT", detail("E-1", "50", sign="CRDT"), detail("E-2", "20", sign="DBIT")), closing="1030"
        )
    )
    assert amounts(content) == [("E-1", 50), ("E-2", -20)]


@pytest.mark.parametrize(
    "path",
    [
        "<AmtDtls><TxAmt><Amt Ccy='KRW'>{}</Amt></TxAmt></AmtDtls>",
        "<AmtDtls><InstdAmt><Amt Ccy='KRW'>{}</Amt></InstdAmt></AmtDtls>",
    ],
)
def test_older_versions_state_the_parts_elsewhere(path: str) -> None:
    parts = [detail("E-1", more=path.format(50)), detail("E-2", more=path.format(20))]
    assert amounts(camt053(statement(entry("70", "CRDT", *parts), closing="1070"), version="02")) == [
        ("E-1", 50),
        ("E-2", 20),
    ]


def test_a_batch_that_does_not_tell_its_parts_is_one_line_that_counts_them() -> None:
    (line,) = the_statement(
        camt053(
            statement(entry("70", "DBIT", batch="<Btch><MsgId>F-1</MsgId><NbOfTxs>3</NbOfTxs></Btch>"), closing="930")
        )
    ).lines
    assert (line.amount, line.transaction_count, line.file_id, line.end_to_end_id) == (-70, 3, "F-1", None)


def test_parts_without_amounts_are_one_line_that_counts_them() -> None:
    (line,) = the_statement(camt053(statement(entry("70", "DBIT", detail("E-1"), detail("E-2")), closing="930"))).lines
    assert (line.amount, line.transaction_count, line.end_to_end_id) == (-70, 2, None)


def test_what_was_instructed_elsewhere_does_not_bind_a_single_transaction() -> None:
    foreign = "<AmtDtls><InstdAmt><Amt Ccy='USD'>1.00</Amt></InstdAmt></AmtDtls>"
    instructed = "<AmtDtls><InstdAmt><Amt Ccy='KRW'>505</Amt></InstdAmt></AmtDtls>"
    for more in (foreign, instructed):
        assert the_line(entry("500", "CRDT", detail("E-1", more=more)), closing="1500").amount == 500


@pytest.mark.parametrize(
    "charges",
    [
        "<Chrgs><TtlChrgsAndTaxAmt Ccy='KRW'>5</TtlChrgsAndTaxAmt>"
        "<Rcrd><Amt Ccy='KRW'>5</Amt><CdtDbtInd>DBIT</CdtDbtInd></Rcrd></Chrgs>",
        "<Chrgs><Amt Ccy='KRW'>5</Amt><CdtDbtInd>DBIT</CdtDbtInd></Chrgs>",
        "<Chrgs><Rcrd><Amt Ccy='KRW'>5</Amt></Rcrd></Chrgs>",
    ],
)
def test_what_the_bank_keeps_for_itself_is_a_line_of_its_own(charges: str) -> None:
    found = the_statement(camt053(statement(entry("495", "CRDT", detail("E-1", "500"), more=charges), closing="1495")))
    assert [(line.end_to_end_id, line.amount, line.is_charge) for line in found.lines] == [
        ("E-1", 500, False),
        (None, -5, True),
    ]


def test_a_charge_booked_by_itself_is_known_by_its_code() -> None:
    code = "<BkTxCd><Domn><Cd>ACMT</Cd><Fmly><Cd>MDOP</Cd><SubFmlyCd>CHRG</SubFmlyCd></Fmly></Domn></BkTxCd>"
    assert the_line(entry("5", "DBIT", more=code), closing="995").is_charge is True


@pytest.mark.parametrize(
    "charges",
    [
        "<Chrgs><TtlChrgsAndTaxAmt Ccy='KRW'>5</TtlChrgsAndTaxAmt></Chrgs>",
        "<Chrgs><Rcrd><Amt Ccy='KRW'>2</Amt></Rcrd><Rcrd><Amt Ccy='KRW'>3</Amt></Rcrd></Chrgs>",
    ],
)
@pytest.mark.parametrize("place", ["entry", "transaction", "both"])
def test_a_charge_is_found_wherever_it_is_told_and_taken_once(charges: str, place: str) -> None:
    at_entry, at_detail = (charges if place in (where, "both") else "" for where in ("entry", "transaction"))
    found = entry("505", "DBIT", detail("E-1", "500", more=at_detail), more=at_entry)
    lines = the_statement(camt053(statement(found, closing="495"))).lines
    assert [(line.end_to_end_id, line.is_charge) for line in lines][:2] == [("E-1", False), (None, True)]
    assert (lines[0].amount, sum(line.amount for line in lines[1:])) == (-500, -5)


@pytest.mark.parametrize(
    "charges", ["", "<Chrgs><Rcrd><Amt Ccy='USD'>0.02</Amt></Rcrd></Chrgs>", "<Chrgs><Amt Ccy='KRW'>4</Amt></Chrgs>"]
)
def test_a_difference_that_no_charge_explains_leaves_one_line_of_the_entrys_amount(charges: str) -> None:
    one = entry("505", "DBIT", detail("E-1", "500", more=charges))
    several = entry("505", "DBIT", detail("E-1", "300"), detail("E-2", "200", more=charges))
    lines = the_statement(camt053(statement(one, several, closing="10", opening="1020"))).lines
    assert [(line.amount, line.end_to_end_id, line.transaction_count) for line in lines] == [
        (-505, "E-1", 1),
        (-505, None, 2),
    ]


@pytest.mark.parametrize(
    ("batch", "names"),
    [
        ("<MsgId>F-1</MsgId>", "F-1"),
        ("<PmtInfId>F-1</PmtInfId>", "F-1"),
        ("<MsgId>F-1</MsgId><PmtInfId>F-1</PmtInfId>", "F-1"),
        ("<MsgId>BANK-9</MsgId><PmtInfId>F-1</PmtInfId>", "BANK-9 F-1"),
    ],
)
def test_a_batch_is_named_as_its_message_and_as_its_batch(batch: str, names: str) -> None:
    told = f"<Btch>{batch}<NbOfTxs>3</NbOfTxs></Btch>"
    assert the_line(entry("70", "DBIT", batch=told), closing="930").file_id == names
    references = f"<TxDtls><Refs>{batch}</Refs></TxDtls>"
    assert the_line(entry("70", "DBIT", references), closing="930").file_id == names


# ------------------------------------------------------------------------------------------- which statement it is


def test_a_statement_tells_its_numbers_and_that_it_is_a_repetition() -> None:
    more = "<CpyDplctInd>DUPL</CpyDplctInd><LglSeqNb>12</LglSeqNb>"
    found = the_statement(camt053(statement(entry("500"), closing="1500", more=more)))
    assert (found.sequence, found.legal_sequence, found.duplicate) == (7, 12, "DUPL")
    assert (found.page, found.is_last, found.notes) == (None, True, ())


def test_a_page_before_the_last_and_an_interim_closing_are_not_the_days_last() -> None:
    page = "<StmtPgntn><PgNb>{}</PgNb><LastPgInd>{}</LastPgInd></StmtPgntn>"
    interim = [balance("OPBD", "1000"), balance("ITBD", "1500")]
    first = the_statement(camt053(statement(entry("500"), balances=interim, more=page.format(1, "false"))))
    assert (first.page, first.is_last, first.closing) == (1, False, 1500)
    morning = the_statement(camt053(statement(entry("500"), balances=interim)))
    assert (morning.page, morning.is_last, morning.closing) == (None, False, 1500)
    noon = [balance("ITBD", "1500"), balance("ITBD", "2000")]
    assert the_statement(camt053(statement(entry("500"), balances=noon))).is_last is False
    last = [balance("ITBD", "1500"), balance("CLBD", "2000")]
    evening = the_statement(camt053(statement(entry("500"), balances=last, more=page.format(2, "true"))))
    assert (evening.page, evening.is_last, evening.opening) == (2, True, 1500)


def test_a_balance_between_pages_ends_no_day_and_begins_none() -> None:
    def read(name: str) -> Statement:
        (found,) = parts(reading.read_content((CORPUS / f"swiss-08-{name}-between-pages.xml").read_bytes()), Statement)
        return found

    first, last = read("closing"), read("opening")
    assert [(page.opening, page.closing, page.page, page.is_last) for page in (first, last)] == [
        (1000, 1500, None, False),
        (1500, 1490, 2, True),
    ]


def test_a_report_of_a_day_that_goes_on_is_no_statement_whatever_its_balances() -> None:
    content = (CORPUS / "korean-052-balances-that-explain-nothing.xml").read_bytes()
    (found,) = parts(reading.read_content(content), Notification)
    assert ([line.amount for line in found.lines], found.not_booked) == ([500], 1)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("korean-02-batch-named-by-msgid", "F260216-1"),
        ("korean-02-batch-named-by-pmtinfid", "FILE-1"),
        ("korean-052-batch-named-by-pmtinfid", "F260216-1"),
        ("korean-054-batch-named-by-msgid", "F260216-1"),
    ],
)
def test_a_batch_is_found_by_each_of_its_names(name: str, named: str) -> None:
    told = reading.read_content((CORPUS / f"{name}.xml").read_bytes())
    assert isinstance(told, tuple)
    (found,) = told
    assert isinstance(found, Statement | Notification)
    assert [(line.file_id, line.transaction_count) for line in found.lines] == [(named, 2)]


def test_statements_of_one_name_on_two_days_or_accounts_are_two() -> None:
    monday, tuesday = (
        statement(entry("5"), balances=[balance("OPBD", "10", day), balance("CLBD", "15", day)])
        for day in ("2026-02-16", "2026-02-17")
    )
    content = camt053(monday, tuesday, tuesday.replace(ACCOUNT, "DE02120300000000202051"))
    assert len(parts(reading.read_content(content), Statement)) == 3


def test_what_a_bank_leaves_out_is_noted_when_the_balances_hold_without_it() -> None:
    available = [balance("OPAV", "1000"), balance("CLAV", "1500")]
    assert "OPAV" in the_statement(camt053(statement(entry("500"), balances=available))).notes[0]
    bare = [found.replace("<CdtDbtInd>CRDT</CdtDbtInd>", "") for found in (balance("OPBD", "9"), balance("CLBD", "14"))]
    assert "no direction" in the_statement(camt053(statement(entry("5"), balances=bare))).notes[0]
    beside = [balance("OPAV", "1"), balance("CLAV", "2"), balance("OPBD", "1000"), balance("CLBD", "1500")]
    assert the_statement(camt053(statement(entry("500"), balances=beside))).notes == ()


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        ("2026-02-17T03:00:00Z", "America/New_York", "2026-02-16"),
        ("2026-02-17T03:00:00.123456789Z", "America/New_York", "2026-02-16"),
        ("2026-02-15T15:00:00Z", "Asia/Seoul", "2026-02-16"),
        ("2026-02-16T00:00:00+09:00", "Asia/Seoul", "2026-02-16"),
        ("2026-02-16T24:00:00+09:00", "Asia/Seoul", "2026-02-16"),
        ("2026-02-16T23:00:00", "America/New_York", "2026-02-16"),
    ],
)
def test_an_instant_with_an_offset_is_a_date_of_the_policys_zone(instant: str, zone: str, day: str) -> None:
    content = camt053(statement(entry("5", day=f"<DtTm>{instant}</DtTm>"), closing="1005")).replace(
        b"<Dt><Dt>2026-02-16</Dt></Dt>", f"<Dt><DtTm>{instant}</DtTm></Dt>".encode()
    )
    (found,) = parts(reading.read_content(content, zone=ZoneInfo(zone)), Statement)
    assert {found.business_date.isoformat(), found.lines[0].booking_date.isoformat()} == {day}


# --------------------------------------------------------------------------------------------------- contradictions

SUMMARY = "<TxsSummry><{0}><NbOfNtries>{1}</NbOfNtries><Sum>{2}</Sum></{0}></TxsSummry>"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"closing": "1501"}, "does not add up: opening 1000 and entries 500 make 1500, its closing balance is 1501"),
        ({"balances": [balance("OPBD", "1000")]}, "closing balance"),
        ({"balances": [balance("CLBD", "1500")]}, "opening balance"),
        (
            {"balances": [balance("OPBD", "1000"), balance("OPBD", "1001"), balance("CLBD", "1500")]},
            "more than one balance",
        ),
        ({"balances": [balance("OPBD", "1000"), balance("CLBD", "1500", currency="USD")]}, "KRW.*USD"),
        ({"balances": [balance("OPBD", "1000"), balance("CLBD", "1500", "2026-02-30")]}, "2026-02-30"),
        ({"balances": [balance("ITBD", "1500")]}, "closing balance"),
        ({"after": SUMMARY.format("TtlNtries", 2, 500)}, "counts"),
        ({"after": SUMMARY.format("TtlNtries", 1, 501)}, "sums"),
        ({"after": SUMMARY.format("TtlCdtNtries", 0, 0)}, "counts"),
        ({"after": SUMMARY.format("TtlDbtNtries", 1, 5)}, "counts"),
        ({"after": SUMMARY.format("TtlNtries", 1, "NaN")}, "not a number"),
    ],
)
def test_a_statement_that_contradicts_itself_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UnreadableMessage, match=why):
        reading.read_content(camt053(statement(entry("500"), **({"closing": "1500"} | changes))))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (entry("500", more="<AcctSvcrRef>" + "B" * 141 + "</AcctSvcrRef>"), "has 141 characters"),
        (entry("500", batch="<Btch><NbOfTxs>1000000000</NbOfTxs></Btch>"), "[1000000000] in [NbOfTxs]"),
        (entry("500", day="<DtTm>0001-01-01T00:00:00+14:00</DtTm>"), "not a date"),
        (entry("500", day="<DtTm>2026-02-16T25:00:00Z</DtTm>"), "not a date"),
        (
            entry("500", "CRDT", detail("", "250"), detail("", "250"), batch="<Btch><NbOfTxs>3</NbOfTxs></Btch>"),
            "counts",
        ),
        (
            entry(
                "500", "CRDT", detail("", "250"), detail("", "250"), batch="<Btch><TtlAmt Ccy='KRW'>501</TtlAmt></Btch>"
            ),
            "batch of",
        ),
        (entry("500", "CREDIT"), "direction"),
        (entry("500", "CRDT", day="<Dt>2026-02-30</Dt>"), "2026-02-30"),
        (entry("500", "CRDT", day="<Dt>16.02.2026</Dt>"), "not a date"),
        (entry("500", "CRDT", day="<DtTm>2026-02-16 10:00</DtTm>"), "not a date"),
        (entry("500.5"), "more decimals"),
        (entry("499.99999"), "more decimals"),
        (entry("-500"), "not an unsigned decimal"),
        (entry("5e2"), "not an unsigned decimal"),
        (entry("500,00"), "not an unsigned decimal"),
        (entry(""), "not an unsigned decimal"),
        (entry("٥٠٠"), "not an unsigned decimal"),
        (entry("1" * 19), "eighteen"),
        (entry("500", currency="USD"), "USD"),
        (entry("500", currency="XXX"), "XXX"),
        (entry("500", more="<RvslInd>maybe</RvslInd>"), "neither true nor false"),
        ("<Ntry><CdtDbtInd>CRDT</CdtDbtInd></Ntry>", "amount"),
    ],
)
def test_an_entry_that_cannot_be_right_refuses_the_statement_with_its_line(wrong: str, why: str) -> None:
    refusal = refused(camt053(statement(entry("500"), wrong, closing="2000")))
    assert why in str(refusal) and refusal.line == 4


def test_zeros_beyond_the_currency_say_nothing() -> None:
    assert amounts(camt053(statement(entry("500.00000"), opening="1000.00", closing="1500.0"))) == [(None, 500)]


def test_a_statement_in_dollars_has_cents() -> None:
    found = the_statement(
        camt053(statement(entry("0.05", currency="USD"), opening="10.00", closing="10.05", currency="USD"))
    )
    assert (found.opening, found.closing, found.currency) == (1000, 1005, "USD")


def test_a_hole_in_a_statement_is_named_with_its_amount() -> None:
    refusal = refused(camt053(statement(entry("500"), closing="1400")))
    assert (refusal.statement_id, refusal.account, refusal.difference) == ("S-1", ACCOUNT, -100)


def test_an_empty_message_is_not_a_success() -> None:
    assert "no statement" in refused(camt053()).reason
    assert "no notification" in refused(camt054().replace(b"<Ntfctn>", b"<X>").replace(b"</Ntfctn>", b"</X>")).reason
