"""What a lender was taken over with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from settlement.domain.books import opening as positions
from settlement.domain.books.opening import OpeningKind

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A take-over: the first settlement date it was made for, the date its entries bear, and the hash of its rows.

    `opens_at` is when the first window opens: what came before it was settled elsewhere.
    """

    first_date: date
    opens_at: datetime
    opened_on: date
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningItem:
    """A receipt or a payout that another system had under way at the take-over; amounts are positive."""

    kind: OpeningKind
    subject_id: str
    reference: str
    currency: str
    amount: int
    is_shown: bool
    is_written_off: bool

    @property
    def item_id(self) -> str:
        """The id under which the books match it."""
        of = positions.receipt_of if self.kind is OpeningKind.RECEIPT_IN_TRANSIT else positions.payout_of
        return of(self.currency, self.subject_id)

    @property
    def signed_amount(self) -> int:
        """What it brings to the bank: a payout takes away."""
        return self.amount if self.kind is OpeningKind.RECEIPT_IN_TRANSIT else -self.amount


class Opening(Protocol):
    """Opening positions: read once, and never changed."""

    def find(self) -> TakenOver | None:
        """Return the take-over, or None where the lender began with nothing."""
        ...

    def keep(
        self,
        positions: pd.DataFrame,
        *,
        first_date: date,
        opens_at: datetime,
        opened_on: date,
        received_at: datetime,
        now: datetime,
    ) -> TakenOver:
        """Keep positions (frame `OPENING`, proven) as where notes, receivables and credits stand on a date.

        `opens_at` is when the first window opens, `received_at` when the credits among them came, for our rules.
        """
        ...

    def sums(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many rows there are (`count`) and their sum (`amount`), by currency and kind in one text."""
        ...

    def receipts(self, loan_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the receipts that were taken over and that no run has taken as the books stand, as repayments.

        Of these loans, or of all. They are what the opening says, whatever the source says of them since.
        """
        ...

    def under_way(self) -> list[OpeningItem]:
        """Return what another system had under way, receipts and payouts, whether shown by a line since or not."""
        ...

    def suspended(self) -> Mapping[str, int]:
        """Return what was taken over unexplained and is so still, by currency."""
        ...

    def booked(self, currency: str) -> int:
        """Return what the opening took from `opening_balance` in a currency, debit positive."""
        ...

    def receipt_ids(self) -> set[str]:
        """Return the ids of all receipts that were taken over."""
        ...

    def loans_waiting(self, day: date) -> set[str]:
        """Return the loans of receipts that were taken over and that no date before this one takes."""
        ...
