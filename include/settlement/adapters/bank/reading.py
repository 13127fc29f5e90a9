"""What a bank's message says, whichever message it is: it is known by its content, never by its name."""

from settlement.adapters.bank.formats import camt, csv_statement, document, mt940, pacs004, pain002
from settlement.adapters.bank.formats.csv_statement import ColumnMap
from settlement.domain.bank.messages import Message, Reading


def read(message: Message, *, columns: ColumnMap | None = None) -> Reading:
    """Return what [message] says, proven as far as it can prove itself. Raises UnreadableMessage."""
    return read_content(message.content, columns=columns)


def read_content(content: bytes, *, columns: ColumnMap | None = None) -> Reading:
    """Return what these bytes say: XML, MT940, or with declared [columns] a CSV. Raises UnreadableMessage."""
    if mt940.looks_like(content):
        return mt940.read(content)
    if columns is not None and not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return csv_statement.read(content, columns)
    opened = document.parse(content)
    if opened.kind == "pain.002":
        return pain002.read(opened)
    if opened.kind == "pacs.004":
        return pacs004.read(opened)
    return camt.read(opened)
