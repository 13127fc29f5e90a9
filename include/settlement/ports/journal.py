"""The journal and its balances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol


class Journal(Protocol):
    """Entries, their postings and the balances that they come to."""

    def post(
        self,
        event: str,
        legs: Sequence[tuple[str, int]],
        *,
        settlement_date: date,
        currency: str,
        now: datetime,
        repayment_id: str | None = None,
        payout_id: str | None = None,
        line_id: str | None = None,
    ) -> None: ...
    def post_all(
        self, event: str, entries: Sequence[Mapping[str, Any]], *, settlement_date: date, now: datetime
    ) -> None: ...
    def balance(self, account: str, currency: str) -> int: ...
    def balances(self, prefix: str) -> dict[tuple[str, str], int]: ...
