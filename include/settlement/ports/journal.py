"""The journal and its balances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.books.postings import JournalEntry


class Journal(Protocol):
    """Entries, their postings and the balances that they come to. Debits are positive, amounts whole minor units."""

    def post(self, entry: JournalEntry, *, settlement_date: date, now: datetime) -> None:
        """Post one entry in the newest revision of a settlement date; legs of 0 are left out."""

    def post_all(self, entries: Sequence[JournalEntry], *, settlement_date: date, now: datetime) -> None:
        """Post many entries together, numbered in their order."""

    def undo_write_offs(self, subject_ids: Sequence[str], *, settlement_date: date, now: datetime) -> None:
        """Reverse what was written off of these receipts and payouts, because their lines came after all."""

    def balance(self, account: str, currency: str) -> int:
        """Return the balance of one account, 0 where nothing moved it."""
        ...

    def balances(self, prefix: str) -> dict[tuple[str, str], int]:
        """Return the balances other than zero of the accounts whose names begin so, by (account, currency)."""
        ...
