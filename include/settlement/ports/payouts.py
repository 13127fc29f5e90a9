"""Payouts, from the balance to their end. Frames are those of `domain.frames`; amounts are whole minor units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.payments.evidence import FactKind
    from settlement.domain.payments.state import PayoutState
    from settlement.ports.days import DayRun


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """What payouts of one settlement date, handed over at one instant, may still take from the custody account."""

    currency: str
    settlement_date: date
    submitted_at: datetime | None
    is_returned: bool
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncredited:
    """A payout that is returned and of which the bank still owes the money; `announced_at` where it said so itself."""

    payout_id: str
    currency: str
    amount: int
    booked_on: date
    announced_at: datetime | None


class Payouts(Protocol):
    """What is owed, what is prepared, and every step that a payout takes."""

    def payables(self) -> pd.DataFrame:
        """Return what the ledger owes each investor, and each borrower for a refund: frame `PAYABLES`, in no order.

        The attempt grows if some payout of the payee's newest preparation is proven not to have been paid.
        """
        ...

    def under_way(self) -> list[UnderWay]:
        """Return what may still leave the custody account for payouts: what no statement has shown yet.

        A returned payout that no statement has shown leaving is among it: whether the bank netted it away is for the
        statements after its execution date to prove.
        """
        ...

    def refused_accounts(self) -> pd.DataFrame:
        """Return the accounts that a bank refused for good: frame `REFUSED_ACCOUNTS`, in no order."""
        ...

    def slots(self, day: DayRun) -> pd.DataFrame:
        """Return the chunks that the day's revision has, with their newest attempts: frame `SLOTS`, in no order."""
        ...

    def stranded(self, *, before: date, prepared_before: datetime) -> pd.DataFrame:
        """Return the payouts of earlier days that nobody is going to send: frame `PAYOUTS`.

        They were never handed to the bank, and their day failed or left them waiting since before `prepared_before`.
        """
        ...

    def usual_totals(self, on: Sequence[date]) -> dict[str, list[int]]:
        """Return what was paid on these settlement dates, by currency, newest first; a date without payouts is none."""
        ...

    def prepare(
        self, day: DayRun, payouts: pd.DataFrame, holds: pd.DataFrame, *, booked_on: date, now: datetime
    ) -> None:
        """Write payouts (frame `NEW_PAYOUTS`) with their entries, and all holds as they stand now (frame `HOLDS`).

        Their entries are of `booked_on`: of the day itself, or of one after every date that is certified by now.

        The database refuses a payout above its balance, and a second living attempt in one place.

        Raises InvalidFrame: a frame breaks its specification.
        """

    def holds(self) -> pd.DataFrame:
        """Return what is owed and not paid now, and why, as payouts were prepared last: frame `HOLDS`, by payee."""
        ...

    def find(self, settlement_date: date | None = None, states: Sequence[PayoutState] = ()) -> pd.DataFrame:
        """Return payouts, by date and states where given: frame `PAYOUTS`, in the order of date and id."""
        ...

    def unknown_dates(self) -> set[date]:
        """Return the settlement dates with payouts of which nobody knows whether the bank has them."""
        ...

    def by_end_to_end(self, ids: Sequence[str]) -> pd.DataFrame:
        """Return the payouts with these end-to-end ids: frame `PAYOUTS`, in no order."""
        ...

    def in_file(self, file_id: str) -> pd.DataFrame:
        """Return the payouts of one file: frame `PAYOUTS`, in the order in which they stand in it."""
        ...

    def step(
        self,
        payout_ids: Sequence[str],
        to_state: PayoutState,
        *,
        cause: str,
        now: datetime,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = ...,
    ) -> None:
        """Take the payouts one step further, each with a row of its history.

        `evidence` is one for all, or one for each payout in their order; it becomes JSON. The database refuses a step
        that `payments.state.STEPS` does not have.
        """

    def note_booking(self, booked: Mapping[str, date]) -> None:
        """Keep the first day on which payouts were booked, where it was not known or a later one was."""

    def keep_facts(
        self,
        payout_ids: Sequence[str],
        kind: FactKind,
        *,
        source: str,
        now: datetime,
        amounts: Sequence[int] | None = None,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = ...,
    ) -> None:
        """Keep what became known of payouts, by its source; what the same source says again changes nothing.

        `evidence` is one for all, or one for each payout in their order; it becomes JSON, and its `bank_reason` is
        the bank's reason.
        """

    def evidence(self, payout_ids: Sequence[str]) -> pd.DataFrame:
        """Return what is known of payouts: frame `EVIDENCE`. Lines that are not matched count where they name one."""
        ...

    def spoken_of(self, payout_ids: Sequence[str]) -> set[str]:
        """Return those of these payouts of which a message or a person said something, beside what lines show."""
        ...

    def credit_back(self, payouts: pd.DataFrame, *, state: PayoutState, settlement_date: date, now: datetime) -> None:
        """Give the money of rejected or returned payouts (frame `PAYOUTS`) back to the balances they came from."""

    def take_back(self, payouts: pd.DataFrame, *, settlement_date: date, now: datetime) -> None:
        """Take the money of payouts again that was given back: the entries that gave it are reversed."""

    def contradicted(self) -> pd.DataFrame:
        """Return what statements show as paid although it was said not to have been: frame `PAYOUTS`, by id."""
        ...

    def uncredited(self) -> list[Uncredited]:
        """Return the returned payouts that the bank debited and still has to credit, less what was written off."""
        ...

    def refuse_accounts(self, refused: Mapping[str, str], *, now: datetime) -> None:
        """Remember that the bank refused the payees' accounts for good: its reasons, by payout id."""

    def has_paid(self, run_id: str) -> bool:
        """Tell whether a run has made payouts since it opened its day. A run that is cleared opens it anew."""
        ...
