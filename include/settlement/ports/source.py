"""The lending core, read and never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.days import SettlementCalendar, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The source's side of a day's inputs: frames as in `domain.frames`, without positions and states.

    `repayments` are all that the run takes; `originals` the rows that their reversals name; `refunds` those that no run
    has taken.
    """

    loans: pd.DataFrame
    notes: pd.DataFrame
    holdings: pd.DataFrame
    investors: pd.DataFrame
    receivables: pd.DataFrame
    repayments: pd.DataFrame
    originals: pd.DataFrame
    refunds: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierReceipts:
    """How many receipts of how many loans there were in one currency, and their sum in whole minor units."""

    currency: str
    receipts: int
    loans: int
    amount: int


class SourceSnapshot(Protocol):
    """The source as it stood at one moment. An id that it does not have has no row."""

    def digests(self, boundaries: Sequence[datetime]) -> Mapping[datetime, tuple[int, str]]:
        """Return count and digest of what was received from each of the ascending instants to the next.

        The last one goes on without end; where nothing was received there is none.
        """
        ...

    def received(self, windows: Sequence[Window]) -> pd.DataFrame:
        """Return the repayments received in any of the windows, of which there is one and which do not overlap."""

    def received_by(self, loan_ids: Sequence[str], until_at_exclusive: datetime) -> pd.DataFrame:
        """Return the repayments that these loans received before an instant."""

    def received_before(self, at: datetime, loan_ids: Sequence[str]) -> list[EarlierReceipts]:
        """Return what these loans received before an instant and was not undone, by currency."""
        ...

    def first_receipt(self) -> datetime | None:
        """Return when the first money of all came, or None where none did."""
        ...

    def repayments(self, repayment_ids: Sequence[str]) -> pd.DataFrame:
        """Return these repayments."""

    def refunds(self, until_at_exclusive: datetime) -> pd.DataFrame:
        """Return the refunds that were requested before an instant; none where the source has no such relation."""
        ...

    def opening(self, opens_at: datetime) -> pd.DataFrame:
        """Return the opening positions, frame `OPENING`; none where the source has no such relation.

        `opens_at` is when the first window opens: what came before it was settled elsewhere.
        """
        ...

    def loans(self, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return these loans."""

    def positions(self, loan_ids: pd.Series[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the notes of these loans, and their holdings."""
        ...

    def investors(self, investor_ids: pd.Series[Any]) -> pd.DataFrame:
        """Return these investors."""

    def receivables(self, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the receivables of these loans."""


class LendingCore(Protocol):
    """The source of facts, read in repeatable-read snapshots and never written."""

    def snapshot(self) -> AbstractContextManager[SourceSnapshot]:
        """Open the source as it stands at this moment."""
        ...

    def payees(self, investor_ids: Sequence[str], refund_ids: Sequence[str]) -> pd.DataFrame:
        """Return who is to be paid where: frame `PAYEES`; an investor or a refund that the source lacks has no row."""
        ...

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these repayments came."""

    def receipts(
        self, *, references: Sequence[str], since: date, repayment_ids: Sequence[str], calendar: SettlementCalendar
    ) -> pd.DataFrame:
        """Return the receipts that carry one of the references or ids, as a line would show them: frame `SUBJECTS`.

        One reference may be that of many years: by it only those are found that came since the window of a date.
        """
