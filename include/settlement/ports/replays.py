"""What a replay asks of the books: loans of settled dates as they stand, and as they stood before a date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareChange:
    """What a restatement changes for one investor of one loan on one date, net, in whole minor units."""

    settlement_date: date
    loan_id: str
    investor_id: str
    currency: str
    before: int
    after: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, with the difference."""
        return asdict(self) | {
            "settlement_date": self.settlement_date.isoformat(),
            "difference": self.after - self.before,
        }


class Replays(Protocol):
    """The rows and entries of loans that are run again."""

    def received_in(self, window_on: date) -> list[str]:
        """Return the loans of which money was taken that came in the window of a date."""
        ...

    def moved_on(self, settlement_date: date, loan_ids: Sequence[str]) -> list[str]:
        """Return those of the loans whose money a date has moved or kept back, in bytewise order."""
        ...

    def lift(self, loan_ids: Sequence[str], *, since: date) -> None:
        """Let the repayments of the loans stand as before a date: what that one and later ones took is untaken."""

    def subjects(self, loan_ids: Sequence[str]) -> Set[tuple[str, str]]:
        """Return the loans, their repayments and their refunds as subjects of breaks: the kind and the id of each."""
        ...

    def unsettled(self, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the repayments of the loans that were taken and are neither settled nor cancelled.

        They are as they were taken, with the columns of `frames.REPAYMENTS` but `state`.
        """
        ...

    def booked(self, repayment_ids: Sequence[str]) -> pd.DataFrame:
        """Return those of the repayments that were ever taken, as they were taken, with the columns of `unsettled`."""
        ...

    def replayed_after(self, settlement_date: date, revision: int) -> Set[str]:
        """Return the loans that later revisions of a date than this one have run again."""
        ...

    def rows(self, settlement_date: date, loan_ids: Sequence[str]) -> Mapping[str, pd.DataFrame]:
        """Return the allocations, shares, credits and what is kept_back of the loans on a date, as the books stand."""
        ...

    def entries(self, settlement_date: date, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the entries by which the date moved money of the loans: `frames.BOOKED_ENTRIES`."""
        ...

    def changes(self, revisions: Mapping[date, int]) -> list[ShareChange]:
        """Return what these revisions changed for each investor of each loan, by date, loan and investor."""
        ...
