"""What the books contribute to a day's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.frames import Inputs
    from settlement.ports.source import BooksView, Facts


class BookedInputs(Protocol):
    """What the books contribute to a day's inputs."""

    def view(self, day: date) -> BooksView: ...
    def settled_later(self, day: date, loan_ids: Sequence[str]) -> list[tuple[date, str]]: ...
    def see(self, day: date, facts: Facts) -> Inputs: ...
