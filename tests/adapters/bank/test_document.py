"""Opening what a bank sent: every document that is not plainly one of ours is refused, whatever it tries."""

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats import document
from settlement.domain.bank.messages import Message
from settlement.domain.bank.statement import Statement
from settlement.domain.errors import UnreadableMessage

from .camt_files import camt053, entry, statement
from .readings import parts

GOOD = camt053(statement(entry("500"), closing="1500"))
BILLION = b"""<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>"""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"OK", "neither as XML nor as an MT940"),
        (b'{"status": "ACCP"}', "neither as XML nor as an MT940"),
        (b"<html/>", "Document"),
        (b"<Document/>", "holds \\[nothing\\]"),
        (GOOD[:-20], "not well-formed"),
        (GOOD + GOOD, "not well-formed"),
        (b"\x00" + GOOD, "neither as XML nor as an MT940"),
        (GOOD.replace(b"UTF-8", b"EBCDIC-WHAT"), "not well-formed|not XML"),
        (GOOD.replace(b"M-1", b"\xff\xfe"), "not well-formed"),
        (GOOD.replace(b"camt.053", b"camt.054"), "namespace says"),
        (GOOD.replace(b"BkToCstmrStmt", b"BkToCstmrAcctRpt").replace(b"camt.053", b"camt.052"), "no report"),
        (GOOD.replace(b"BkToCstmrStmt", b"AcctRptgReq").replace(b"camt.053", b"camt.060"), "AcctRptgReq"),
        (GOOD.replace(b'<?xml version="1.0" encoding="UTF-8"?>', b"<!DOCTYPE Document>"), "document type"),
        (GOOD.replace(b'<?xml version="1.0" encoding="UTF-8"?>', BILLION).replace(b"M-1", b"&c;"), "document type"),
        (GOOD.replace(b"M-1", b"&outside;"), "not well-formed"),
        (
            GOOD.replace(
                b'<?xml version="1.0" encoding="UTF-8"?>',
                b'<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
            ).replace(b"M-1", b"&x;"),
            "document type",
        ),
        (b"<Document>" * 300 + b"</Document>" * 300, "depth"),
    ],
)
def test_what_is_not_a_banks_message_is_refused_with_a_reason(content: bytes, why: str) -> None:
    with pytest.raises(UnreadableMessage, match=why):
        reading.read(Message.of(content, kind="camt.053"))


def test_a_document_type_in_another_encoding_is_found_too() -> None:
    text = GOOD.decode().replace(
        '<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x>'
    )
    with pytest.raises(UnreadableMessage, match="document type"):
        reading.read_content(text.encode("utf-16"))


def test_a_message_that_is_too_large_is_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LARGEST_MESSAGE", len(GOOD) - 1)
    with pytest.raises(UnreadableMessage, match="bytes are more than"):
        reading.read_content(GOOD)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD,
        b"\r\n \xef\xbb\xbf\n" + GOOD,
        GOOD + b"\r\n\x1a\0\0",
        GOOD.replace(b"M-1", "똠방".encode("cp949")).replace(b'"UTF-8"', b"'MS949'"),
        GOOD.replace(b'encoding="UTF-8"', b'encoding="EUC-KR"'),
        GOOD.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        GOOD.replace(b'xmlns="', b'xmlns:n="').replace(b"<", b"<n:").replace(b"<n:/", b"</n:").replace(b"<n:?", b"<?"),
        GOOD.split(b"?>", 1)[1].replace(b' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', b""),
        b"<Envelope><AppHdr/>" + GOOD.split(b"?>", 1)[1] + b"</Envelope>",
        GOOD.replace(b"500", b"5<!-- x -->00"),
        GOOD.replace(b"<Ntry>", b"<Ntry><Amt xmlns='urn:other' Ccy='KRW'>9</Amt>"),
    ],
    ids=[
        "bom",
        "lines and bom",
        "padding",
        "ms949",
        "euc-kr",
        "utf-16",
        "prefixed",
        "no namespace",
        "enveloped",
        "comment",
        "foreign element",
    ],
)
def test_the_dress_of_a_document_does_not_matter(content: bytes) -> None:
    (found,) = parts(reading.read_content(content), Statement)
    assert (found.opening, found.closing, [line.amount for line in found.lines]) == (1000, 1500, [500])


@pytest.mark.parametrize(
    "name", ["EUC-KR", "euckr", "KS_C_5601-1987", "KSC5601", "MS949", "UHC", "CP949", "windows-949"]
)
def test_every_korean_name_of_an_encoding_is_read_as_cp949(name: str) -> None:
    told = entry("500", "CRDT", "<TxDtls><RmtInf><Ustrd>똠방각하</Ustrd></RmtInf></TxDtls>")
    content = camt053(statement(told, closing="1500")).decode().replace("UTF-8", name).encode("cp949")
    (found,) = parts(reading.read_content(content), Statement)
    assert found.lines[0].remittance == "똠방각하"
    with pytest.raises(UnreadableMessage, match=rf"it declares \[{name}\] and byte \d+ is no character of it"):
        reading.read_content(content.replace("똠".encode("cp949"), b"\xff\xff"))


def test_a_document_with_lines_before_it_names_its_own_lines() -> None:
    with pytest.raises(UnreadableMessage, match=r"^line 7: "):
        reading.read_content(b"\n\r\n\n" + GOOD.replace(b">500<", b">5oo<"))


def test_the_reason_names_the_line() -> None:
    with pytest.raises(UnreadableMessage, match=r"^line 4: ") as refusal:
        reading.read_content(GOOD.replace(b">500<", b">5oo<"))
    assert refusal.value.line == 4
