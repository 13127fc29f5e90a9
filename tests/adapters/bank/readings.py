"""What a test knows of a message that was read: of which kind its parts are."""

from typing import TypeVar

from settlement.domain.bank.messages import FileAnswer, Reading, Return
from settlement.domain.bank.statement import Notification, Statement

Part = TypeVar("Part", bound=Return | Notification | Statement)


def parts(reading: Reading, kind: type[Part]) -> list[Part]:
    """Return the parts of a message, each of which is of [kind]; an answer to a file has none."""
    assert not isinstance(reading, FileAnswer)
    found: list[Part] = [part for part in reading if isinstance(part, kind)]
    assert len(found) == len(reading)
    return found
