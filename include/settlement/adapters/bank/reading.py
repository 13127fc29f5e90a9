"""What a bank's message says, whichever message it is: it is known by its content, never by its name."""

from datetime import tzinfo

from settlement.adapters.bank.formats import camt, csv_statement, document, mt940, pacs004, pain002
from settlement.adapters.bank.formats.csv_statement import ColumnMap
from settlement.domain.bank.messages import Message, Reading
from settlement.domain.errors import UnreadableMessage

_BLANK = b"\xef\xbb\xbf\0\x1a \t\r\n"
"""What a message may have around what it says."""


def read(message: Message, *, columns: ColumnMap | None = None, zone: tzinfo | None = None) -> Reading:
    """Return what [message] says, proven as far as it can prove itself. Raises UnreadableMessage."""
    return read_content(message.content, columns=columns, zone=zone)


def read_content(content: bytes, *, columns: ColumnMap | None = None, zone: tzinfo | None = None) -> Reading:
    """Return what these bytes say: XML, MT940 or MT942, or with declared [columns] a CSV; instants are dates of [zone].

    Raises UnreadableMessage.
    """
    if document.looks_like(content):
        return _read_xml(content, zone)
    if mt940.looks_like(content):
        return mt940.read(content)
    if columns is not None:
        return csv_statement.read(content, columns)
    if not content.strip(_BLANK):
        raise UnreadableMessage("the message is empty")
    raise UnreadableMessage(
        "it begins neither as XML nor as an MT940; for a CSV, statement_columns of connection settlement_bank declare"
        " what its columns mean",
        line=1,
    )


def _read_xml(content: bytes, zone: tzinfo | None) -> Reading:
    opened = document.parse(content, zone=zone)
    if opened.kind == "pain.002":
        return pain002.read(opened)
    if opened.kind == "pacs.004":
        return pacs004.read(opened)
    return camt.read(opened)
