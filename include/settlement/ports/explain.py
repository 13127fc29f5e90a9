"""One investor's money of a day, row by row: amounts in whole minor units, debits positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

SHARE_AMOUNTS = ("gross_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount", "net_amount")
"""What a share is made of: gross less the rest is net."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestorShare:
    """One share, as in `reporting.shares`; `position` is that of its allocation in the run."""

    settlement_date: date
    revision: int
    position: int
    repayment_id: str
    loan_id: str
    receivable_id: str
    note_id: str
    investor_id: str
    currency: str
    component: str
    gross_amount: int
    fee_amount: int
    vat_amount: int
    national_tax_amount: int
    local_tax_amount: int
    net_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestorPayout:
    """One payout, as in `reporting.payouts`."""

    payout_id: str
    settlement_date: date
    revision: int
    investor_id: str
    currency: str
    amount: int
    state: str
    end_to_end_id: str
    file_id: str | None
    attempt: int
    bank_reason: str | None
    submitted_at: datetime | None
    booked_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestorPosting:
    """One posting on the investor's account, with its entry's event and what that is about."""

    entry_id: int
    event: str
    repayment_id: str | None
    payout_id: str | None
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBalance:
    """A balance that is owed and not paid now, why, and the settlement date since when."""

    investor_id: str
    currency: str
    amount: int
    reason: str
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestorAllocation:
    """What of a repayment went to a receivable of which the investor has a share.

    `repayment_amount` is that of the whole repayment, `window_on` the settlement date in whose window it came.
    """

    revision: int
    position: int
    repayment_id: str
    loan_id: str
    receivable_id: str
    currency: str
    component: str
    amount: int
    repayment_amount: int
    window_on: date
    reverses_repayment_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepaymentLine:
    """A line of a bank statement that shows a repayment, or that shows it undone, and the rule that matched them."""

    repayment_id: str
    line_id: str
    statement_id: str
    booking_date: date
    currency: str
    amount: int
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRevision:
    """One revision of a date: why it was made, who asked, and when."""

    revision: int
    reason: str | None
    requested_by: str | None
    computed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedShare:
    """What a later revision changed of one share, net; a share that is new or gone is 0 on the other side."""

    revision: int
    loan_id: str
    repayment_id: str
    receivable_id: str
    note_id: str
    currency: str
    component: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMovement:
    """By how much an event moved an account on a settlement date."""

    settlement_date: date
    event: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """An investor's shares of one component of a loan on a settlement date, added up."""

    settlement_date: date
    loan_id: str
    component: str
    currency: str
    gross_amount: int
    fee_amount: int
    vat_amount: int
    national_tax_amount: int
    local_tax_amount: int
    net_amount: int


class Explanations(Protocol):
    """What an investor's money of a day, or of a period, is made of."""

    def shares(self, investor_id: str, on: date) -> list[InvestorShare]:
        """Return the investor's shares of the day's newest revision, in the order of the run."""
        ...

    def payouts(self, investor_id: str, first: date, last: date) -> list[InvestorPayout]:
        """Return the investor's payouts from a settlement date to another, in their order, without personal data."""
        ...

    def postings(self, investor_id: str, on: date) -> list[InvestorPosting]:
        """Return the postings of the day on the investor's account, in the order in which they were recorded."""
        ...

    def holds(self, investor_id: str) -> list[HeldBalance]:
        """Return what the investor is owed and not paid now, by currency, as payouts were prepared last."""
        ...

    def allocations(self, investor_id: str, on: date) -> list[InvestorAllocation]:
        """Return the allocations of the day of which the investor has a share, as the books stand, in their order."""
        ...

    def bank_lines(self, repayment_ids: Sequence[str]) -> list[RepaymentLine]:
        """Return the lines that show these repayments, by repayment and booking date; none before one was taken in."""
        ...

    def revisions(self, on: date) -> list[MadeRevision]:
        """Return the revisions of a date in their order; none if it was never settled."""
        ...

    def share_changes(self, investor_id: str, on: date) -> list[ChangedShare]:
        """Return what each later revision of the date changed of the investor's shares, by revision and share."""
        ...

    def movements(self, investor_id: str, until: date) -> list[AccountMovement]:
        """Return by how much each event moved the investor's account on each settlement date until this one."""
        ...

    def earnings(self, investor_id: str, first: date, last: date) -> list[Earning]:
        """Return the investor's shares from a settlement date to another, as the books stand, by date and loan."""
        ...
