"""What a former system paid: what a shadow run is held against."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


class FormerPayments(Protocol):
    """What a former system paid to each investor of each loan, date by date, in whole minor units."""

    @property
    def given(self) -> Sequence[str]:
        """The amounts that it gives, of those of frame `PAID`."""

    @property
    def has_currency(self) -> bool:
        """Whether it names the currency; a row without one is in the currency of its loan."""
        ...

    def dates(self, since: date, until: date) -> list[date]:
        """Return the dates of a period, both included, on which it paid, in order."""
        ...

    def paid_on(self, on: date) -> pd.DataFrame:
        """Return what it paid on a date: loan_id, investor_id, currency (empty where it has none), the given amounts.

        Several rows of one loan and investor are as good as their sum.

        Raises Refused: a value is missing, or no whole number.
        """
