"""Status reports and returns: what they say of a file and of a payment, and what makes them unreadable."""

import datetime as dt

import pytest
from settlement.adapters.bank import reading
from settlement.domain import frames
from settlement.domain.bank.messages import FileAnswer, Return
from settlement.domain.errors import UnreadableMessage

from .readings import parts


def pain002(group: str = "", batches: str = "", *, version: str = "10", file_id: str = "F-1") -> bytes:
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>R-1</MsgId></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{file_id}</OrgnlMsgId>{group}</OrgnlGrpInfAndSts>{batches}"
        "</CstmrPmtStsRpt></Document>"
    ).encode()


def why(code: str, *told: str) -> str:
    return (
        f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn>{''.join(f'<AddtlInf>{text}</AddtlInf>' for text in told)}</StsRsnInf>"
    )


def tx(end_to_end_id: str, status: str = "", reason: str = "") -> str:
    stated = f"<TxSts>{status}</TxSts>" if status else ""
    return f"<TxInfAndSts><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId>{stated}{reason}</TxInfAndSts>"


def batch(*transactions: str, status: str = "", reason: str = "") -> str:
    stated = f"<PmtInfSts>{status}</PmtInfSts>" if status else ""
    said = f"<OrgnlPmtInfId>F-1</OrgnlPmtInfId>{stated}{reason}{''.join(transactions)}"
    return f"<OrgnlPmtInfAndSts>{said}</OrgnlPmtInfAndSts>"


def answer(content: bytes) -> FileAnswer:
    found = reading.read_content(content)
    assert isinstance(found, FileAnswer)
    return found


@pytest.mark.parametrize("version", ["03", "08", "10", "14"])
def test_a_report_speaks_of_the_file_and_of_each_payment(version: str) -> None:
    found = answer(
        pain002(
            "<GrpSts>PART</GrpSts>",
            batch(tx("P-1", "ACSC"), tx("P-2", "RJCT", why("AC04", "account", "closed")), status="PART"),
            version=version,
        )
    )
    assert (found.message_id, found.file_id, found.group_status) == ("R-1", "F-1", "PART")
    assert list(frames.rows(frames.check(found.payments, frames.PAYMENT_STATUSES), *found.payments)) == [
        ("P-1", "ACSC", None, ""),
        ("P-2", "RJCT", "AC04", "account closed"),
    ]


def test_a_later_report_may_speak_of_one_payment_alone() -> None:
    found = answer(pain002("", batch(tx("P-2", "RJCT", why("AC04")))))
    assert (found.group_status, found.payments["end_to_end_id"].tolist()) == (None, ["P-2"])


@pytest.mark.parametrize(
    ("group", "batches", "status", "reason"),
    [
        ("<GrpSts>RJCT</GrpSts>" + why("FF01"), "", "RJCT", "FF01"),
        ("", batch(status="ACCP"), "ACCP", None),
        ("", batch(status="RJCT", reason=why("AM04")), "RJCT", "AM04"),
        ("<GrpSts>PART</GrpSts>", batch(status="RJCT", reason=why("AM04")), "RJCT", "AM04"),
        ("", batch(status="ACCP") + batch(status="RJCT"), "PART", None),
    ],
)
def test_the_files_status_is_the_groups_or_the_batchs(
    group: str, batches: str, status: str, reason: str | None
) -> None:
    found = answer(pain002(group, batches))
    assert (found.group_status, found.reason, len(found.payments)) == (status, reason, 0)


def test_a_payment_without_a_status_has_that_of_its_batch() -> None:
    found = answer(pain002("<GrpSts>PART</GrpSts>", batch(tx("P-1"), status="RJCT") + batch(tx("P-2"))))
    assert list(frames.rows(found.payments, "end_to_end_id", "status")) == [("P-1", "RJCT"), ("P-2", "PART")]


def test_a_file_that_the_bank_has_already_is_a_duplicate() -> None:
    found = answer(pain002("<GrpSts>RJCT</GrpSts>" + why("DUPL")))
    assert found.is_duplicate


def test_a_bank_that_could_not_read_the_file_names_none() -> None:
    assert answer(pain002("<GrpSts>RJCT</GrpSts>", file_id="NOTPROVIDED")).file_id is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pain002(), "no status"),
        (pain002("", batch(tx("P-1"))), "no status"),
        (pain002("<GrpSts>Accepted!</GrpSts>"), "not a status"),
        (pain002("<GrpSts>ACCP</GrpSts>", file_id=""), "OrgnlMsgId"),
        (pain002("<GrpSts>PART</GrpSts>", batch(tx("", "RJCT"))), "OrgnlEndToEndId"),
        (pain002("<GrpSts>PART</GrpSts>", batch(tx("P" * 141, "RJCT"))), "has 141 characters"),
        (pain002("<GrpSts>RJCT</GrpSts>", file_id="F" * 141), "has 141 characters"),
        (pain002("<GrpSts>PART</GrpSts>", batch(tx("P-1", "RJCT"), tx("P-1", "ACCP"))), "both"),
    ],
)
def test_a_report_that_says_nothing_or_two_things_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableMessage, match=reason):
        reading.read_content(content)


# ---------------------------------------------------------------------------------------------------------- returns


def pacs004(*transactions: str, header: str = "", version: str = "09") -> bytes:
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.004.001.{version}"><PmtRtr>'
        f"<GrpHdr><MsgId>T-1</MsgId>{header}</GrpHdr><OrgnlGrpInf><OrgnlMsgId>F-1</OrgnlMsgId></OrgnlGrpInf>{''.join(transactions)}</PmtRtr></Document>"
    ).encode()


def returned(end_to_end_id: str, amount: str, *, currency: str = "KRW", more: str = "") -> str:
    return (
        f"<TxInf><RtrId>T-{end_to_end_id}</RtrId><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId>"
        f'<RtrdIntrBkSttlmAmt Ccy="{currency}">{amount}</RtrdIntrBkSttlmAmt>{more}'
        "<RtrRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>closed</AddtlInf></RtrRsnInf></TxInf>"
    )


def test_a_return_names_the_payment_what_comes_back_when_and_why() -> None:
    header = (
        "<NbOfTxs>2</NbOfTxs><CtrlSum>70</CtrlSum><TtlRtrdIntrBkSttlmAmt Ccy='KRW'>70</TtlRtrdIntrBkSttlmAmt>"
        "<IntrBkSttlmDt>2026-02-19</IntrBkSttlmDt>"
    )
    day = "<IntrBkSttlmDt>2026-02-20</IntrBkSttlmDt>"
    content = pacs004(returned("P-1", "50"), returned("P-2", "20", more=day), header=header)
    first, second = parts(reading.read_content(content), Return)
    assert first == Return(
        return_id="T-P-1",
        end_to_end_id="P-1",
        amount=50,
        currency="KRW",
        reason="AC04",
        text="closed",
        return_date=dt.date(2026, 2, 19),
        file_id="F-1",
    )
    assert (second.end_to_end_id, second.amount, second.return_date) == ("P-2", 20, dt.date(2026, 2, 20))


@pytest.mark.parametrize(
    ("stated", "original"),
    [
        ("<OrgnlIntrBkSttlmAmt Ccy='KRW'>43790</OrgnlIntrBkSttlmAmt>", 43_790),
        ("<OrgnlIntrBkSttlmAmt Ccy='USD'>30.00</OrgnlIntrBkSttlmAmt>", None),
        ("", None),
    ],
)
def test_a_return_of_less_than_was_paid_says_both(stated: str, original: int | None) -> None:
    (found,) = parts(reading.read_content(pacs004(returned("P-1", "43290", more=stated))), Return)
    assert (found.amount, found.original_amount) == (43_290, original)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pacs004(returned("P" * 141, "50")), "has 141 characters"),
        (pacs004(returned("P-1", "50"), header="<NbOfTxs>9999999999</NbOfTxs>"), "more than is counted"),
        (pacs004(), "names no returned payment"),
        (pacs004(header="<GrpRtr>true</GrpRtr>"), "names no returned payment"),
        (pacs004(returned("P-1", "50"), header="<NbOfTxs>2</NbOfTxs>"), "NbOfTxs"),
        (pacs004(returned("P-1", "50"), header="<CtrlSum>51</CtrlSum>"), "CtrlSum"),
        (
            pacs004(returned("P-1", "50"), header="<TtlRtrdIntrBkSttlmAmt Ccy='KRW'>51</TtlRtrdIntrBkSttlmAmt>"),
            "sum to",
        ),
        (
            pacs004(returned("P-1", "50"), header="<TtlRtrdIntrBkSttlmAmt Ccy='USD'>50</TtlRtrdIntrBkSttlmAmt>"),
            "sum to",
        ),
        (pacs004(returned("P-1", "50"), returned("P-1", "50")), "more than once"),
        (pacs004(returned("P-1", "0")), "of nothing"),
        (pacs004(returned("", "50")), "OrgnlEndToEndId"),
        (pacs004(returned("P-1", "50.5")), "more decimals"),
        (pacs004(returned("P-1", "1" * 19)), "more than eighteen digits"),
        (pacs004(returned("P-1", "50", more="<IntrBkSttlmDt>2026-02-30</IntrBkSttlmDt>")), "2026-02-30"),
    ],
)
def test_a_return_that_contradicts_itself_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableMessage, match=reason):
        reading.read_content(content)
