"""What the channel makes of a bank, a proxy or a network that misbehaves: proven outcomes, and no message lost."""

import json
from collections.abc import Callable, Iterable, Iterator

import pytest
from settlement.adapters.bank.channels.http import HttpBank, judge
from settlement.domain.bank.messages import Message, Submission, SubmissionOutcome
from settlement.domain.errors import Refused, Unavailable

from .bad_bank import Answer, BadBank, dripping, garbage, reset, saying, silence
from .mock_bank import http_bank

StartBank = Callable[[dict[str, list[Answer]]], BadBank]

CONTENT = b"<Document/>"
FILE = "F-1"


def report(
    status: str | None = None, *, reason: str = "", file_id: str = FILE, payments: str = "", number: int = 1
) -> bytes:
    """A pain.002 in one line, with its declaration."""
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    group = f"<GrpSts>{status}</GrpSts>" if status else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10">'
        f"<CstmrPmtStsRpt><GrpHdr><MsgId>R{number}</MsgId></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{file_id}</OrgnlMsgId>"
        f"{group}{why}</OrgnlGrpInfAndSts>{payments}</CstmrPmtStsRpt></Document>"
    ).encode()


REJECTED_PAYMENT = (
    "<OrgnlPmtInfAndSts><OrgnlPmtInfId>F-1</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>P-1</OrgnlEndToEndId>"
    "<TxSts>RJCT</TxSts></TxInfAndSts></OrgnlPmtInfAndSts>"
)


@pytest.fixture
def bank() -> Iterator[StartBank]:
    started: list[BadBank] = []

    def start(script: dict[str, list[Answer]]) -> BadBank:
        started.append(BadBank(script))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.close()


def submit(bad: BadBank, *, answer_seconds: float = 5.0) -> Submission:
    return http_bank(bad.url, answer_seconds=answer_seconds).submit(FILE, CONTENT)


# --------------------------------------------------------------------------------------------- what an answer proves


@pytest.mark.parametrize(
    ("status", "answer", "outcome", "reason"),
    [
        (200, b"", SubmissionOutcome.RECEIVED, None),
        (202, b"  \n", SubmissionOutcome.RECEIVED, None),
        (204, b"", SubmissionOutcome.RECEIVED, None),
        (202, b'{"status": "ACCP", "reason": null, "msg_id": "F-1"}', SubmissionOutcome.RECEIVED, None),
        (202, b'{"accepted": 3}', SubmissionOutcome.RECEIVED, None),
        (202, b"[]", SubmissionOutcome.RECEIVED, None),
        (202, b'{"status": "accepted"}', SubmissionOutcome.RECEIVED, None),
        (200, b'{"status": "rejected", "reason": "FF01"}', SubmissionOutcome.REFUSED, "FF01"),
        (200, b'{"status": "duplicate"}', SubmissionOutcome.DUPLICATE, "DUPL"),
        (200, b'{"error": "try again"}', SubmissionOutcome.UNKNOWN, None),
        (422, b'{"status": "error", "error": "control sum"}', SubmissionOutcome.REFUSED, None),
        (202, report("ACCP"), SubmissionOutcome.RECEIVED, None),
        (202, report("PART", payments=REJECTED_PAYMENT), SubmissionOutcome.RECEIVED, None),
        (202, report("RJCT", payments=REJECTED_PAYMENT), SubmissionOutcome.UNKNOWN, None),
        (202, report(payments=REJECTED_PAYMENT), SubmissionOutcome.UNKNOWN, None),
        (202, report("RJCT", reason="TM01", payments=REJECTED_PAYMENT), SubmissionOutcome.UNKNOWN, "TM01"),
        (202, report("RJCT", reason="FF01"), SubmissionOutcome.REFUSED, "FF01"),
        (202, report("RJCT", reason="DUPL"), SubmissionOutcome.DUPLICATE, "DUPL"),
        (202, b'{"status": "RJCT", "reason": "DUPL"}', SubmissionOutcome.DUPLICATE, "DUPL"),
        (202, b'{"status": "RJCT", "reason": "FF01"}', SubmissionOutcome.REFUSED, "FF01"),
        (202, b'{"status": "RJCT", "payments": [{"reason": "AC04"}]}', SubmissionOutcome.UNKNOWN, None),
        (422, b'{"status": "RJCT", "reason": "DUPL", "msg_id": "F-1"}', SubmissionOutcome.DUPLICATE, "DUPL"),
        (422, b'{"status": "RJCT", "reason": "FF01"}', SubmissionOutcome.REFUSED, "FF01"),
        (422, report("RJCT", reason="AM05"), SubmissionOutcome.DUPLICATE, "AM05"),
        (400, report("RJCT", reason="FF01"), SubmissionOutcome.REFUSED, "FF01"),
        (400, b"", SubmissionOutcome.REFUSED, None),
        (422, b"the control sum is wrong", SubmissionOutcome.REFUSED, None),
        (413, b"too large", SubmissionOutcome.REFUSED, None),
        (409, b'{"error": "duplicate"}', SubmissionOutcome.DUPLICATE, None),
        (422, b'{"error": "file F-1 has been received already"}', SubmissionOutcome.DUPLICATE, None),
        (422, b'{"error": "EndToEndId used already"}', SubmissionOutcome.UNKNOWN, None),
        (409, b"", SubmissionOutcome.UNKNOWN, None),
        (202, b"OK", SubmissionOutcome.UNKNOWN, None),
        (200, b"<html><body>Sign in to the guest network</body></html>", SubmissionOutcome.UNKNOWN, None),
        (202, b'{"status": "AC', SubmissionOutcome.UNKNOWN, None),
        (202, report("ACCP")[:-9], SubmissionOutcome.UNKNOWN, None),
        (202, report("ACCP", file_id="F-2"), SubmissionOutcome.UNKNOWN, None),
        (202, b'{"status": "ACCP", "msg_id": "F-2"}', SubmissionOutcome.UNKNOWN, None),
        (422, b'{"status": "ACCP"}', SubmissionOutcome.UNKNOWN, None),
        (422, b'{"status": "ACFC"}', SubmissionOutcome.UNKNOWN, None),
        (422, b'{"status": "PATC"}', SubmissionOutcome.UNKNOWN, None),
        (422, b"<html>no</html>", SubmissionOutcome.UNKNOWN, None),
        (401, b"", SubmissionOutcome.NOT_SENT, None),
        (403, b"", SubmissionOutcome.NOT_SENT, None),
        (404, b"{}", SubmissionOutcome.NOT_SENT, None),
        (429, b"", SubmissionOutcome.NOT_SENT, None),
        (302, b"", SubmissionOutcome.UNKNOWN, None),
        (408, b"", SubmissionOutcome.UNKNOWN, None),
        (500, b'{"status": "RJCT", "reason": "FF01"}', SubmissionOutcome.UNKNOWN, None),
        (502, b"", SubmissionOutcome.UNKNOWN, None),
        (503, b"", SubmissionOutcome.UNKNOWN, None),
    ],
)
def test_an_answer_proves_so_much_and_no_more(
    status: int, answer: bytes, outcome: SubmissionOutcome, reason: str | None
) -> None:
    judged = judge(FILE, status, answer, address="http://bank:80")
    assert (judged.outcome, judged.reason, judged.status_code, judged.answer) == (outcome, reason, status, answer)
    assert "http://bank:80" in judged.text and "[F-1]" in judged.text


def test_a_status_report_in_the_answer_is_a_message_like_any_other() -> None:
    judged = judge(FILE, 202, report("ACCP"), address="http://bank:80")
    assert [(message.kind, message.content) for message in judged.messages] == [("pain.002", report("ACCP"))]


# -------------------------------------------------------------------------------------------- what the network does


@pytest.mark.parametrize(
    "answer",
    [
        saying(202, b'{"status": "ACCP"}', length=500),
        saying(202, report("ACCP")[:80], is_framed=False),
        saying(500),
        saying(503, b"try later"),
        reset,
        garbage,
        silence(2.0),
        dripping(2.0),
        lambda connection: None,
    ],
    ids=["cut short", "cut short without a length", "500", "503", "reset", "not http", "silent", "dripping", "closed"],
)
def test_what_the_network_does_after_the_file_left_is_unknown(bank: StartBank, answer: Answer) -> None:
    submission = submit(bank({"POST": [answer]}), answer_seconds=0.5)
    assert submission.outcome is SubmissionOutcome.UNKNOWN


def test_a_file_that_found_nobody_was_not_sent(bank: StartBank) -> None:
    bad = bank({})
    bad.close()
    submission = submit(bad)
    assert submission.outcome is SubmissionOutcome.NOT_SENT
    assert bad.url in submission.text and "settlement_bank" in submission.text


def test_a_name_that_nobody_knows_was_not_sent() -> None:
    assert http_bank("http://bank.invalid:80").submit(FILE, CONTENT).outcome is SubmissionOutcome.NOT_SENT


def test_a_redirect_is_not_followed(bank: StartBank) -> None:
    elsewhere = bank({"POST": [saying(202)]})
    moved = b"HTTP/1.1 307 Moved\r\nLocation: " + elsewhere.url.encode() + b"/payments\r\nContent-Length: 0\r\n\r\n"
    assert submit(bank({"POST": [lambda connection: connection.sendall(moved)]})).outcome is SubmissionOutcome.UNKNOWN
    assert elsewhere.requests == []


def test_the_file_travels_byte_for_byte(bank: StartBank) -> None:
    bad = bank({"POST": [saying(202)]})
    content = "<Nm>김하늘</Nm>".encode()
    http_bank(bad.url).submit(FILE, content)
    assert (bad.requests, bad.bodies) == (["POST /payments"], [content])


def test_a_bank_with_paths_of_its_own_is_asked_there(bank: StartBank) -> None:
    bad = bank({"POST": [saying(202)], "GET": [saying(204)]})
    channel = HttpBank(bad.url + "/gateway", submit_path="files", collect_path="/inbox?branch=1")
    channel.submit(FILE, CONTENT)
    list(channel.fetch())
    assert bad.requests[:2] == ["POST /gateway/files", "GET /gateway/inbox?branch=1&raw&type=camt.053&leave"]


def test_credentials_in_the_address_are_used_and_never_told() -> None:
    channel = http_bank("http://maker:s3cret@127.0.0.1:1/bank")
    assert channel.describe() == "http://127.0.0.1:1"
    assert "s3cret" not in channel.submit(FILE, CONTENT).text


@pytest.mark.parametrize("address", ["", "127.0.0.1:80", "ftp://bank", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="settlement_bank"):
        http_bank(address)


# ------------------------------------------------------------------------------------------------------- collecting

PEEK = "GET /_mock/mailbox?raw&type=pain.002&leave"
TAKE = "GET /_mock/mailbox?raw&type=pain.002"
ONE, TWO, THREE = (report("ACCP", number=number) for number in (1, 2, 3))


def mailbox(*looks: Answer, takes: list[Answer] | None = None) -> dict[str, list[Answer]]:
    """A mailbox of status reports that answers each look in turn, and nothing else."""
    return {PEEK: list(looks), TAKE: takes or [saying(200)]}


def contents(messages: Iterable[Message]) -> list[bytes]:
    return [message.content for message in messages]


@pytest.mark.parametrize("nothing", [saying(200), saying(200, b" \n"), saying(204), saying(404, b'{"error": "none"}')])
def test_an_empty_mailbox_may_be_said_in_several_ways(bank: StartBank, nothing: Answer) -> None:
    assert list(http_bank(bank({"GET": [nothing]}).url).fetch()) == []


def test_documents_are_cut_where_they_end_and_not_where_text_looks_like_an_end(bank: StartBank) -> None:
    tricky = report("ACCP", payments="<!-- <?xml version='1.0'?></Document> --><X><![CDATA[<?xml ?>]]></X>", number=4)
    bare = report("ACCP", number=5).split(b"?>", 1)[1]
    stream = b"\n".join([ONE, tricky, b"\xef\xbb\xbf" + TWO, bare, bare.replace(b"R5", b"R6")]) + b"\n"
    fetched = http_bank(bank(mailbox(saying(200, stream))).url).fetch()
    assert contents(fetched) == [ONE, tricky, b"\xef\xbb\xbf" + TWO, bare, bare.replace(b"R5", b"R6")]


def test_a_message_in_an_encoding_that_nobody_knows_is_handed_over_and_does_not_spoil_its_neighbours(
    bank: StartBank,
) -> None:
    unknown = b'<?xml version="1.0" encoding="UTF-88"?>' + ONE.split(b"?>", 1)[1]
    fetched = http_bank(bank(mailbox(saying(200, ONE + b"\n" + unknown + b"\n" + TWO))).url).fetch()
    assert contents(fetched) == [ONE, unknown, TWO]


@pytest.mark.parametrize("name", ["EUC-KR", "KS_C_5601-1987", "MS949", "UHC"])
def test_a_message_in_a_korean_encoding_is_cut_like_every_other(bank: StartBank, name: str) -> None:
    korean = ONE.decode().replace("UTF-8", name).replace("</GrpHdr>", "<X>똠방각하</X></GrpHdr>").encode("cp949")
    fetched = http_bank(bank(mailbox(saying(200, ONE + b"\n" + korean + TWO))).url).fetch()
    assert contents(fetched) == [ONE, korean, TWO]


def test_what_stands_between_messages_is_none(bank: StartBank) -> None:
    stream = b"\n\xef\xbb\xbf\r\n" + ONE + b"\n\x1a\0" + TWO + b"\x1a\n"
    assert contents(http_bank(bank(mailbox(saying(200, stream))).url).fetch()) == [ONE, TWO]


def test_a_message_that_no_parser_follows_is_handed_over_and_does_not_spoil_its_neighbours(bank: StartBank) -> None:
    broken = ONE.replace(b"</GrpHdr>", b"</GrpHd>")
    fetched = http_bank(bank(mailbox(saying(200, ONE + b"\n" + broken + b"\n" + TWO))).url).fetch()
    assert contents(fetched) == [ONE, broken, TWO]


@pytest.mark.parametrize("is_framed", [True, False])
def test_of_an_answer_that_breaks_off_the_whole_messages_count_and_none_is_taken(
    bank: StartBank, is_framed: bool
) -> None:
    stream = ONE + b"\n" + TWO
    cut = saying(200, stream[:-20], length=len(stream)) if is_framed else saying(200, stream[:-20], is_framed=False)
    bad = bank(mailbox(cut, cut if is_framed else saying(200, stream), saying(200, stream)))
    channel = http_bank(bad.url)
    first = list(channel.fetch())
    assert contents(first) == ([ONE] if is_framed else [ONE, TWO])
    assert TAKE not in bad.requests


def test_a_broken_message_of_a_bank_that_tells_no_lengths_is_the_banks_own_when_it_says_it_twice(
    bank: StartBank,
) -> None:
    bad = bank(mailbox(saying(200, ONE + TWO[:-20], is_framed=False)))
    assert contents(http_bank(bad.url).fetch()) == [ONE, TWO[:-20]]


def test_what_is_kept_is_taken_and_what_came_in_between_is_handed_over_first(bank: StartBank) -> None:
    bad = bank(
        mailbox(
            saying(200, ONE), saying(200, ONE + TWO), saying(200, ONE + TWO), takes=[saying(200, ONE + TWO + THREE)]
        )
    )
    channel = http_bank(bad.url)
    kept = list(channel.fetch())
    late = list(channel.acknowledge(kept))
    assert (contents(late), TAKE in bad.requests) == ([TWO], False)

    late = list(channel.acknowledge(late))
    assert (contents(late), TAKE in bad.requests) == ([THREE], True)  # the take itself brought one more
    assert THREE in contents(channel.fetch())  # and it is not forgotten before it is kept
    bad.script[TAKE] = [saying(200)]
    assert list(channel.acknowledge(late)) == []
    assert THREE not in contents(channel.fetch())


def test_a_take_whose_answer_is_lost_fails_nothing(bank: StartBank) -> None:
    bad = bank(mailbox(saying(200, ONE), takes=[reset]))
    channel = http_bank(bad.url)
    assert list(channel.acknowledge(list(channel.fetch()))) == []


def test_a_bank_that_cannot_be_peeked_at_loses_nothing_either(bank: StartBank) -> None:
    # Every look takes: what the second look brings was not there at the first.
    bad = bank({PEEK: [saying(200, ONE), saying(200, TWO), saying(200)], "GET": [saying(200)]})
    channel = http_bank(bad.url)
    kept = list(channel.fetch())
    late = list(channel.acknowledge(kept))
    assert (contents(kept), contents(late)) == ([ONE], [TWO])
    assert list(channel.acknowledge([*kept, *late])) == []
    assert TAKE not in bad.requests


def test_a_bank_that_refuses_the_word_leave_is_asked_without_it(bank: StartBank) -> None:
    bad = bank({PEEK: [saying(400, b"unknown parameter")], TAKE: [saying(200, ONE)], "GET": [saying(200)]})
    assert contents(http_bank(bad.url).fetch()) == [ONE]


def test_what_was_fetched_before_a_failure_is_not_lost_by_it(bank: StartBank) -> None:
    statement = ONE.replace(b"pain.002", b"camt.053")
    bad = bank({"GET /_mock/mailbox?raw&type=camt.053": [saying(200, statement)], "GET": [reset]})
    assert contents(http_bank(bad.url).fetch()) == [statement]


@pytest.mark.parametrize(
    "answer", [reset, saying(500), saying(302), silence(1.0)], ids=["reset", "500", "302", "silent"]
)
def test_a_mailbox_that_cannot_be_read_names_the_bank_and_what_to_do(bank: StartBank, answer: Answer) -> None:
    bad = bank({"GET": [answer]})
    with pytest.raises(Unavailable, match="settlement_bank") as failure:
        http_bank(bad.url, answer_seconds=0.3).fetch()
    assert bad.url in str(failure.value)


def test_statements_are_asked_for_first_and_handed_over_last(bank: StartBank) -> None:
    bad = bank({"GET": [saying(200)]})
    http_bank(bad.url).fetch()
    assert [request.split("type=")[1].split("&")[0] for request in bad.requests] == [
        "camt.053",
        "camt.054",
        "pacs.004",
        "pain.002",
    ]
    asked = {
        f"GET /_mock/mailbox?raw&type={kind}": [saying(200, ONE.replace(b"R1", kind.encode()))]
        for kind in ("camt.053", "camt.054", "pacs.004", "pain.002")
    }
    fetched = http_bank(bank(asked).url).fetch()
    assert [message.kind for message in fetched] == ["pain.002", "pacs.004", "camt.054", "camt.053"]


def test_json_is_read_whatever_else_it_says() -> None:
    answer = json.dumps({"status": "ACCP", "msg_id": FILE, "payments": [{"end_to_end_id": "P-1"}]}).encode()
    assert judge(FILE, 202, answer, address="http://bank:80").outcome is SubmissionOutcome.RECEIVED
