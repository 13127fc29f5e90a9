"""What a bank's message says, whichever message it is: it is known by its content, never by its name."""

from settlement.adapters.bank import camt, document, pacs004, pain002
from settlement.domain.messages import Message, Reading


def read(message: Message) -> Reading:
    """Return what [message] says, proven as far as it can prove itself. Raises UnreadableMessage."""
    return read_content(message.content)


def read_content(content: bytes) -> Reading:
    """Return what these bytes say. Raises UnreadableMessage."""
    opened = document.parse(content)
    if opened.kind == "pain.002":
        return pain002.read(opened)
    if opened.kind == "pacs.004":
        return pacs004.read(opened)
    return camt.read(opened)
