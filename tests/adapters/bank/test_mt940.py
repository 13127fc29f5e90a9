"""MT940 in its dialects: which lines are fields, which pages are whose, and what a line's texts tell."""

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats import mt940
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT
from settlement.domain.bank.statement import Notification, Statement
from settlement.domain.errors import UnreadableMessage

from .readings import parts

HEAD = [":20:REF", ":25:110-123-456789", ":28C:34", ":60F:C260213KRW1000,"]
LINE = ":61:2602160216D30,NTRFNONREF"
TAIL = [":62F:C260216KRW970,", "-"]


def read(*lines: str) -> list[Statement]:
    return parts(mt940.read("\r\n".join(lines).encode()), Statement)


def told(*lines: str) -> list[tuple[str | None, str | None, str]]:
    """Return end-to-end id, file and text of the only line of a statement, of which these lines follow its `:61:`."""
    (found,) = read(*HEAD, LINE, *lines, *TAIL)
    return [(line.end_to_end_id, line.file_id, line.remittance) for line in found.lines]


@pytest.mark.parametrize(
    "wrapped",
    [
        "20:08 Uhr",
        "21:30",
        "25:A",
        "28:C",
        "28C:1",
        "13:45",
        "13D:x",
        "60F:offen",
        "62F:offen",
        "64:1",
        "61:eins",
        "90C:x",
    ],
)
def test_a_wrapped_line_that_looks_like_a_field_is_text(wrapped: str) -> None:
    assert told(":86:Termin um", f":{wrapped}") == [(None, None, f"Termin um\n:{wrapped}")]


def test_a_statement_that_breaks_off_is_not_the_text_of_the_one_before_it() -> None:
    with pytest.raises(UnreadableMessage, match=r"line 1: the statement has 0 fields :62F: or :62M:, not one"):
        read(*HEAD, LINE, ":86:and then", *HEAD, LINE, *TAIL)


def test_an_end_mark_inside_a_text_is_text() -> None:
    assert told(":86:one", "-", " -", "two") == [(None, None, "one\n-\n-\ntwo")]


def test_all_texts_behind_a_line_are_its_text() -> None:
    assert told(":86:Uitbetaling", ":86:P-2 investeerder") == [(None, None, "Uitbetaling\nP-2 investeerder")]
    assert told(":86:/ORDP//NAME/EEN LENER", ":86:/EREF/P-2/REMI/rente") == [("P-2", None, "rente")]
    assert told(":86:/EREF/P-2", ":86:uitbetaling")[0][0] == "P-2 uitbetaling"


def test_the_batch_of_a_payment_is_told_as_its_file() -> None:
    assert told(":86:/PREF/FILE-1/EREF/P-2/REMI/rente") == [("P-2", "FILE-1", "rente")]


def test_pages_are_numbered_by_the_bank_or_by_their_order_and_only_the_last_closes_the_day() -> None:
    first = [":20:REF", ":25:110-123-456789", ":28C:34", ":60F:C260213KRW1000,", LINE, ":62M:C260216KRW970,", "-"]
    middle = [*first[:3], ":60M:C260216KRW970,", LINE, ":62M:C260216KRW940,", "-"]
    last = [*first[:3], ":60M:C260216KRW940,", LINE, ":62F:C260216KRW910,", "-"]
    pages = read(*first, *middle, *last)
    assert [(page.page, page.is_last, page.sequence) for page in pages] == [
        (1, False, 34),
        (2, False, 34),
        (3, True, 34),
    ]
    assert len({page.statement_id for page in pages}) == 3
    numbered = read(*(line.replace(":34", ":34/7") for line in middle))
    assert [(page.page, page.is_last) for page in numbered] == [(7, False)]
    alone = read(*last)
    assert [(page.page, page.is_last) for page in alone] == [(None, True)]


def test_a_statement_in_one_piece_has_no_page() -> None:
    (found,) = read(*HEAD, LINE, *TAIL)
    assert (found.page, found.is_last, found.statement_id) == (None, True, "REF:34:2026-02-16")


def test_without_a_reference_a_statement_begins_with_its_account() -> None:
    one = [*HEAD[1:], LINE, *TAIL]
    other = [line.replace(":34", ":35").replace("970", "1030").replace("D30", "C30") for line in one]
    assert [found.statement_id for found in read(*one, *other)] == ["34:2026-02-16", "35:2026-02-16"]
    assert [found.statement_id for found in read(*one[:-1], *other[:-1])] == ["34:2026-02-16", "35:2026-02-16"]
    assert mt940.looks_like("\n".join(HEAD[1:]).encode())


@pytest.mark.parametrize(
    "before", ["", "\ufeff", "\n\n\ufeff\n", "\x1a", "\x01", "ABNANL2A\n940\n", "{1:F01}{2:O940}{4:\n"]
)
def test_what_stands_before_the_first_field_does_not_hide_it(before: str) -> None:
    content = (before + "\n".join([*HEAD, LINE, *TAIL])).encode()
    found = parts(reading.read_content(content, columns=KOREAN_EXPORT), Statement)
    assert [one.closing for one in found] == [970]


@pytest.mark.parametrize(
    "content", [b'<?xml version="1.0"?><a>\n:20:\n:25:\n</a>', b"\n\xef\xbb\xbf<a>\n:20:x\n:25:x\n</a>"]
)
def test_xml_that_holds_fields_is_xml(content: bytes) -> None:
    with pytest.raises(UnreadableMessage, match="the root is"):
        reading.read_content(content)


def test_a_text_that_never_ends_is_refused_where_it_begins() -> None:
    with pytest.raises(UnreadableMessage, match=r"line 6: .* characters, more than the 10000 that are kept"):
        told(":86:begins", *["x" * 65] * 160)


def report(*lines: str) -> Notification:
    head = [":20:REF", ":25:110-123-456789", ":28C:34", ":34F:KRW0,", ":13D:2602161200+0900"]
    (found,) = parts(mt940.read("\n".join([*head, *lines, "-"]).encode()), Notification)
    return found


def test_a_report_notifies_of_what_is_booked_and_counts_what_is_expected() -> None:
    found = report(
        LINE,
        ":86:/EREF/P-1",
        ":61:260216EC900,NTRFNONREF",
        ":86:/EREF/P-2",
        ":61:2602160216ED5,NTRFNONREF",
        ":90D:1KRW30,",
    )
    assert (found.notification_id, found.currency, found.not_booked) == ("REF:34:2602161200+0900", "KRW", 2)
    assert [(line.amount, line.end_to_end_id) for line in found.lines] == [(-30, "P-1")]


def test_a_text_of_a_report_may_look_like_its_head_and_the_next_report_does_not() -> None:
    assert [line.remittance for line in report(LINE, ":86:at", ":20:30", ":25:x", ":34F:y", ":13D:z").lines] == [
        "at\n:20:30\n:25:x\n:34F:y\n:13D:z"
    ]
    one = [":20:A", ":25:1", ":28C:1", ":34F:KRW0,", LINE, ":86:rent"]
    two = [":20:B", ":25:1", ":28C:2", ":34F:KRW0,", LINE]
    found = parts(mt940.read("\n".join([*one, *two]).encode()), Notification)
    assert [part.notification_id for part in found] == ["A:1", "B:2"]


@pytest.mark.parametrize("number", ["9" * 13, "1/" + "9" * 6, "9" * 30 + "/1"])
def test_a_number_is_read_whole_or_not_at_all(number: str) -> None:
    with pytest.raises(UnreadableMessage, match="is not the number of a statement"):
        read(*HEAD[:2], f":28C:{number}", *HEAD[3:], LINE, *TAIL)


def test_an_amount_is_read_whole_or_not_at_all() -> None:
    with pytest.raises(UnreadableMessage, match=r"has an amount that goes on behind \[123456789012345\]"):
        report(":61:2602160216D1234567890123456,NTRFNONREF")


def test_a_line_that_says_nothing_is_refused_as_one() -> None:
    with pytest.raises(UnreadableMessage, match=r"line 5: \[\] is not a statement line"):
        read(*HEAD, ":61:", *TAIL)
