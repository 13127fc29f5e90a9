"""Opening a bank's XML safely, and the few ways in which its values are read.

lxml reads it directly. Generated bindings (pyiso20022 on xsdata) were weighed: they bind one version of a message per
class, so every new version of a bank needs a new class; they fill what is missing with None, which hides what must be
refused; they know no line numbers; and 2 000 entries take them seconds. The messages differ little from version .02 to
.13 in what a settlement reads, and a path that may stand in two places says so where it is read.

Before anything is read: at most 64 MiB, no document type (so no entities), no network, and the root must be a message
that a settlement takes. Elements are named by their local name; those of another namespace than the message's own
(signatures, supplementary data) keep their full name, so that no path finds them.

What stands before the XML declaration (line ends, a mark of the byte order) and behind the end (padding, a Ctrl-Z) is
no part of the message. Every name under which Korean systems declare their encoding is read as CP949, of which EUC-KR
(KS X 1001) is a part.

An instant with an offset is a date of the policy's time zone; a date or an instant without one is as the bank wrote it.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal, InvalidOperation

from lxml import etree

from settlement.domain import currencies
from settlement.domain.bank.messages import LARGEST_MESSAGE
from settlement.domain.bank.statement import EARLIEST, LARGEST_COUNT, LATEST, LONGEST_ID, LONGEST_TEXT, too_long
from settlement.domain.errors import UnreadableMessage

KINDS = {
    "CstmrPmtStsRpt": "pain.002",
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "PmtRtr": "pacs.004",
}
"""The element below `Document` and the message it makes. What a namespace claims must agree with it."""

_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(?P<kind>[a-z]{4}\.\d{3})\.\d{3}\.\d{2}")
_DATE = re.compile(r"(?P<date>\d{4}-\d{2}-\d{2})(?:Z|[+-]\d{2}:\d{2})?", re.ASCII)
_DATE_TIME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})T(?P<time>\d{2}:\d{2}:\d{2})(?:\.\d+)?(?P<offset>Z|[+-]\d{2}:\d{2})?", re.ASCII
)

_BEFORE = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n])*")
_DECLARATION = re.compile(rb"<\?xml\s[^>]{0,200}?\?>")
_ENCODING = re.compile(rb"""encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_KOREAN = frozenset(
    (
        "euckr",
        "ksc5601",
        "ksc56011987",
        "ksc56011989",
        "ksx1001",
        "cp949",
        "949",
        "ms949",
        "windows949",
        "xwindows949",
        "uhc",
    )
)
"""Names of Korean encodings, in small letters and without the signs between."""

Element = etree._Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A message that opened: its kind, and the element that holds what it says."""

    kind: str
    body: Element
    zone: tzinfo | None = None


def looks_like(content: bytes) -> bool:
    """Say whether [content] begins as XML does, behind whatever stands before it."""
    return content[_begins_at(content) :].startswith((b"<", b"\xff\xfe<", b"\xfe\xff\0<"))


def parse(content: bytes, *, zone: tzinfo | None = None) -> Document:
    """Open [content] as one of the messages in KINDS, its instants to be dates of [zone].

    Raises UnreadableMessage; an empty message is one too.
    """
    root = _parse_xml(content)
    document = _first(root, "Document")
    if document is None:
        raise UnreadableMessage(f"the root is [{_local(root)}]; a message of a bank has a Document", line=line(root))
    namespace = etree.QName(document).namespace
    if namespace:
        prefix = f"{{{namespace}}}"
        for element in document.iter(f"{prefix}*"):
            element.tag = str(element.tag)[len(prefix) :]
    body = next((child for child in document if child.tag in KINDS), None)
    if body is None:
        held = next((_local(child) for child in document), "nothing")
        raise UnreadableMessage(
            f"a Document that holds [{held}] is none of {', '.join(KINDS.values())}", line=line(document)
        )
    kind = KINDS[str(body.tag)]
    claimed = _NAMESPACE.fullmatch(namespace or "")
    if claimed and claimed["kind"] != kind:
        raise UnreadableMessage(f"the namespace says [{claimed['kind']}], the content is [{kind}]", line=line(document))
    return Document(kind=kind, body=body, zone=zone)


def _parse_xml(content: bytes) -> Element:
    if len(content) > LARGEST_MESSAGE:
        raise UnreadableMessage(f"{len(content)} bytes are more than the {LARGEST_MESSAGE} that are read")
    if not content.strip():
        raise UnreadableMessage("the message is empty")
    content, encoding = _undressed(content)
    parser = etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as broken:
        raise UnreadableMessage(f"not well-formed XML: {broken.msg}", line=broken.lineno) from broken
    except (ValueError, LookupError) as broken:
        raise UnreadableMessage(f"not XML: {broken}") from broken
    information = root.getroottree().docinfo
    if information.doctype or information.internalDTD is not None:
        raise UnreadableMessage("it carries a document type (DTD); no bank's message needs one", line=1)
    return root


def _undressed(content: bytes) -> tuple[bytes, str | None]:
    """Return the XML without what surrounds it, and its encoding where that is another than it declares.

    What stood before the declaration is put behind it: every line keeps its number.
    """
    if not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        bare = content.rstrip(b"\0\x1a \t\r\n")
        content = bare + re.split(rb"[\0\x1a]", content[len(bare) :], maxsplit=1)[0]
    begins_at = _begins_at(content)
    before, rest = content[:begins_at].replace(b"\xef\xbb\xbf", b""), content[begins_at:]
    declared = _DECLARATION.match(rest)
    if declared is None:
        return before + rest, None
    named = _ENCODING.search(declared[0])
    rest = declared[0] + before + rest[declared.end() :]
    if named is None or re.sub(r"[^a-z0-9]", "", named[1].decode().lower()) not in _KOREAN:
        return rest, None
    try:
        return rest.decode("cp949").encode(), "utf-8"
    except UnicodeDecodeError as broken:
        raise UnreadableMessage(
            f"it declares [{named[1].decode()}] and byte {broken.start} is no character of it"
        ) from None


def _begins_at(content: bytes) -> int:
    found = _BEFORE.match(content)
    return found.end() if found else 0


def _first(root: Element, name: str) -> Element | None:
    """Find the Document, which may stand in an envelope beside a business application header."""
    return next((element for element in root.iter(etree.Element) if _local(element) == name), None)


def _local(element: Element) -> str:
    return etree.QName(element).localname


# ----------------------------------------------------------------------------------------------------------- values


def line(element: Element) -> int | None:
    """Return the line on which [element] begins."""
    return element.sourceline


def text(element: Element, *paths: str, longest: int = LONGEST_ID) -> str | None:
    """Return the text at the first of [paths] that has one, without the spaces around it.

    Raises UnreadableMessage for one of more than [longest] characters.
    """
    for path in paths:
        for found in element.iterfind(path):
            if value := (found.text or "").strip():
                if len(value) > longest:
                    raise UnreadableMessage(f"{too_long(value, longest)} in [{_local(found)}]", line=line(found))
                return value
    return None


def required(element: Element, *paths: str) -> str:
    """Return the text at the first of [paths] that has one. Raises UnreadableMessage."""
    value = text(element, *paths)
    if value is None:
        raise UnreadableMessage(f"[{_local(element)}] has no {' or '.join(paths)}", line=line(element))
    return value


def texts(element: Element, path: str) -> list[str]:
    """Return every text at [path]. Raises UnreadableMessage if they are longer together than a text may be."""
    found = [value for part in element.iterfind(path) if (value := (part.text or "").strip())]
    if sum(map(len, found)) > LONGEST_TEXT:
        raise UnreadableMessage(f"{too_long(''.join(found), LONGEST_TEXT)} in [{path}]", line=line(element))
    return found


def day(element: Element, *paths: str, zone: tzinfo | None = None) -> date | None:
    """Return the date at the first of [paths] that has one; of an instant with an offset it is the date in [zone].

    Raises UnreadableMessage for one that no calendar has, and for a year in which no bank wrote it.
    """
    for path in paths:
        for found in element.iterfind(path):
            if value := (found.text or "").strip():
                return _day(found, value, zone)
    return None


def _day(element: Element, value: str, zone: tzinfo | None) -> date:
    try:
        on = date.fromisoformat(value[:10]) if _DATE.fullmatch(value) else _day_of_instant(value, zone)
        if not EARLIEST <= on <= LATEST:
            raise ValueError
    except (ValueError, OverflowError):
        raise UnreadableMessage(f"[{value[:40]}] in [{_local(element)}] is not a date", line=line(element)) from None
    return on


def _day_of_instant(value: str, zone: tzinfo | None) -> date:
    shape = _DATE_TIME.fullmatch(value)
    if shape is None:
        raise ValueError
    # 24:00 is the end of its day, and would be the beginning of the next one.
    time = "23:59:59" if shape["time"] == "24:00:00" else shape["time"]
    instant = datetime.fromisoformat(f"{shape['date']}T{time}{shape['offset'] or ''}")
    return instant.date() if zone is None or instant.tzinfo is None else instant.astimezone(zone).date()


def amount(element: Element, *, currency: str | None = None) -> tuple[int, str]:
    """Return the minor units and the currency of an amount element; [currency] stands in for a `Ccy` where there is
    none.

    Raises UnreadableMessage for anything that the currency cannot express exactly.
    """
    code = element.get("Ccy") or currency
    if code is None or len(code) > 3:
        raise UnreadableMessage(
            f"[{_local(element)}] has no currency, or one of more than 3 letters", line=line(element)
        )
    try:
        return currencies.from_decimal_text(element.text or "", code), code
    except ValueError as wrong:
        raise UnreadableMessage(f"{wrong} in [{_local(element)}]", line=line(element)) from wrong


def is_credit(element: Element) -> bool | None:
    """Return the direction that [element] states, None if it states none. Raises UnreadableMessage for a third one."""
    value = text(element, "CdtDbtInd")
    if value not in (None, "CRDT", "DBIT"):
        raise UnreadableMessage(f"[{value}] is no direction; it is CRDT or DBIT", line=line(element))
    return None if value is None else value == "CRDT"


def flag(element: Element, path: str) -> bool:
    """Return a yes or no that is no where it is not stated. Raises UnreadableMessage."""
    value = text(element, path)
    if value not in (None, "true", "false", "1", "0"):
        raise UnreadableMessage(f"[{value}] in [{path}] is neither true nor false", line=line(element))
    return value in ("true", "1")


def count(element: Element, *paths: str) -> int | None:
    """Return the count at the first of [paths] that has one. Raises UnreadableMessage."""
    found = number(element, *paths)
    if found is not None and found > LARGEST_COUNT:
        raise UnreadableMessage(f"[{found}] in [{paths[0]}] is more than is counted", line=line(element))
    return found


def number(element: Element, *paths: str) -> int | None:
    """Return the whole number of at most eighteen digits at the first of [paths] that has one.

    Raises UnreadableMessage.
    """
    value = text(element, *paths)
    if value is None:
        return None
    if not re.fullmatch(r"\d{1,18}", value, re.ASCII):
        raise UnreadableMessage(f"[{value[:40]}] in [{paths[0]}] is not a whole number", line=line(element))
    return int(value)


def control_sum(element: Element, path: str) -> Decimal | None:
    """Return the decimal number at [path], which carries no currency. Raises UnreadableMessage."""
    value = text(element, path)
    try:
        found = None if value is None or len(value) > 64 else Decimal(value)
    except InvalidOperation:
        found = None
    if value is not None and (found is None or not found.is_finite()):
        raise UnreadableMessage(f"[{value[:40]}] in [{path}] is not a number", line=line(element))
    return found


def reason(element: Element, path: str) -> str | None:
    """Return the first reason at [path], a code or the bank's own word."""
    for found in element.iterfind(path):
        if value := text(found, "Cd", "Prtry"):
            return value
    return None
