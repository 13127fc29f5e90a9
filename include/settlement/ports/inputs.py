"""What the books contribute to a day's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.frames import Inputs
    from settlement.ports.source import Facts


class BookedInputs(Protocol):
    """What the books contribute to a day's inputs."""

    def settled_before(self, day: date) -> list[date]:
        """Return the settlement dates before this one that were computed, oldest first."""
        ...

    def digests(self) -> Mapping[date, tuple[int, str]]:
        """Return count and digest of what was taken of each window, by its settlement date."""
        ...

    def taken(self, windows: Sequence[date]) -> pd.DataFrame:
        """Return what was taken of the windows, and what is kept back of any, as the source said it then.

        With its currency and where it stands.
        """
        ...

    def known(self, repayment_ids: Sequence[str]) -> Set[str]:
        """Return those of the repayments that some run has taken, whatever window they lay in then."""
        ...

    def settled(self, repayment_ids: Sequence[str]) -> Set[str]:
        """Return those of the repayments that a run has settled, reversed or not, and reversals that cancelled."""
        ...

    def quarantined(self, day: date) -> list[str]:
        """Return the repayments that are kept back and came in the day's window or before, in order of their ids."""
        ...

    def kept_back_before(self, day: date) -> Mapping[date, Sequence[str]]:
        """Return the loans of which earlier dates keep money back, by date, in bytewise order."""
        ...

    def credit_loans(self, day: date) -> Set[str]:
        """Return the loans on which money was held before the day."""
        ...

    def refunded(self, day: date, refund_ids: Sequence[str]) -> Set[str]:
        """Return those of the refunds that a run of an earlier date has taken; what was refused is not."""
        ...

    def currencies(self, loan_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the currency in which money of these loans was settled, by loan."""
        ...

    def settled_later(self, day: date, loan_ids: Sequence[str]) -> list[tuple[date, str]]:
        """Return (settlement date, loan) for the loans that a later day has already moved or kept back."""
        ...

    def see(self, day: date, facts: Facts) -> Inputs:
        """Return the day's inputs: the source's facts with the positions, credits and prior rows of the books."""
        ...
