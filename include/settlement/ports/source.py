"""The lending core, read and never written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.bank.matching import Subject
    from settlement.domain.breaks import Finding
    from settlement.domain.days import SettlementCalendar


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksView:
    """What the ledger knows before a run reads the source, so that the source is asked for the right rows.

    `settled` are the settlement dates before this one that were computed; `digests` the count and digest of what was
    taken of each window; `taken(windows)` the rows of them; `known(repayment_ids)` those that were ever taken;
    `currencies(loan_ids)` those in which money of a loan was settled, by loan; `retry` the quarantined repayments;
    `credit_loans` the loans on which money is held.
    """

    settled: Sequence[date]
    digests: Mapping[date, tuple[int, str]]
    taken: Callable[[Sequence[date]], pd.DataFrame]
    known: Callable[[Sequence[str]], Set[str]]
    currencies: Callable[[Sequence[str]], Mapping[str, str]]
    retry: Sequence[str]
    credit_loans: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The source's side of a day's inputs: frames as in `domain.frames`, without positions and states.

    `repayments` are all that the run takes; `originals` the rows that their reversals name; `changed` what the source
    says otherwise than when it was taken.
    """

    loans: pd.DataFrame
    notes: pd.DataFrame
    holdings: pd.DataFrame
    investors: pd.DataFrame
    receivables: pd.DataFrame
    repayments: pd.DataFrame
    originals: pd.DataFrame
    changed: list[Finding]


class LendingCore(Protocol):
    """The source of facts, read in one repeatable-read snapshot and never written."""

    def facts(self, *, day: date, calendar: SettlementCalendar, view: BooksView) -> Facts:
        """Return what the source has for the day, of one moment."""

    def payees(self, investor_ids: Sequence[str]) -> pd.DataFrame:
        """Return who is to be paid where: frame `PAYEES`; an investor whom the source lacks has no row."""
        ...

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these repayments came."""

    def receipts(
        self, *, references: Sequence[str], repayment_ids: Sequence[str], calendar: SettlementCalendar
    ) -> list[Subject]:
        """Return the receipts, as a statement line would show them, that carry one of the references or ids."""
