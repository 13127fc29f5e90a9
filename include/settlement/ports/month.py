"""A month's money in the books: what a month is made of, row by row. Amounts are whole minor units.

A month is its settlement dates: what was posted under one of them belongs to it, whenever it was posted. Accounts that
there is one of for each subject are summed up under their kind, `investor_payable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.books.accounts import Remittance
    from settlement.domain.days import DayState


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthDay:
    """A settlement date that was opened, and the certificate of its newest revision; None where it is not closed."""

    settlement_date: date
    state: DayState
    revision: int
    certificate: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxedShares:
    """An investor's shares of interest of one loan on a date, added up.

    `frozen_on` and `frozen_revision` say whose frozen inputs name the investor's tax class: those of the date itself,
    or, of what a reversal takes back, those of the date that withheld the tax.
    """

    settlement_date: date
    frozen_on: date
    frozen_revision: int
    loan_id: str
    investor_id: str
    currency: str
    gross_amount: int
    national_tax_amount: int
    local_tax_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargedFees:
    """What a settlement date charged of fees, and the VAT on them."""

    settlement_date: date
    currency: str
    fee_amount: int
    vat_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSum:
    """What the entries of an event posted to a kind of account: debits and credits, both as positive amounts."""

    account: str
    event: str
    currency: str
    debit: int
    credit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSum:
    """What a kind of account holds at the end of a date, debits positive."""

    account: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestorSum:
    """An investor's account over a period: closing = opening + earned - paid + corrected; what is owed is positive."""

    investor_id: str
    currency: str
    opening_amount: int
    earned_amount: int
    paid_amount: int
    corrected_amount: int
    closing_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingBreak:
    """A break that was open at the end of a date."""

    break_id: int
    cause: str
    subject_kind: str
    subject_id: str
    currency: str | None
    amount: int | None
    opened_on: date


TAXED = ("gross_amount", "national_tax_amount", "local_tax_amount")
"""What taxed shares are added up to."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "days": ("settlement_date", "state", "revision", "certificate", "sha256"),
    "totals": (
        "currency", "received_amount", "distributed_amount", "fee_amount", "vat_amount", "national_tax_amount",
        "local_tax_amount", "cost_amount", "credit_amount", "quarantined_amount", "refunded_amount",
    ),
    "filing": ("currency", "tax_class", "rate_ppm", "investor_count", *TAXED),
    "payables": (
        "currency", "kind", "opening_amount", "charged_amount", "remitted_amount", "corrected_amount", "closing_amount",
        "due_on",
    ),
    "withholding": ("settlement_date", "currency", "tax_class", "rate_ppm", *TAXED),
    "fees": ("settlement_date", "currency", "fee_amount", "vat_amount"),
    "investors": (
        "investor_id", "currency", "opening_amount", "earned_amount", "paid_amount", "corrected_amount",
        "closing_amount",
    ),
    "accounts": ("account", "currency", "opening_amount", "debit", "credit", "closing_amount"),
    "journal": ("account", "event", "currency", "debit", "credit"),
    "custody": (
        "side", "currency", "opening_amount", "came_amount", "went_amount", "closing_amount", "statement_id", "sha256",
    ),
    "old_breaks": (
        "break_id", "cause", "subject_kind", "subject_id", "currency", "amount", "opened_on", "age_business_days",
    ),
}  # fmt: skip
"""The tables of a month's report in their order, and their columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMonth:
    """A month of which a date was certified since it was: its first day, and the newest such certificate."""

    month: date
    until_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCertificate:
    """A certificate of a month as it was issued: `body` is its JSON text, `sha256` the hash of that.

    `until_number` is the newest certificate that a date of the month had then.
    """

    number: int
    month: date
    revision: int
    until_number: int
    body: str
    sha256: str
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSum:
    """What of a kind was kept back of a month, by its newest certificate or by the opening, and what was handed on.

    `month` is the month's first day. What was handed on of a period of several months stands at the last one.
    """

    month: date
    currency: str
    kind: Remittance
    amount: int
    remitted_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittedLine:
    """A line of a statement by which something is handed on: positive where it leaves the custody account."""

    line_id: str
    kind: Remittance
    currency: str
    booking_date: date
    amount: int


class Months(Protocol):
    """What a month's settlement dates came to."""

    def days(self, first: date, last: date) -> list[MonthDay]:
        """Return the settlement dates of a period that were opened, in order."""
        ...

    def taxed(self, on: date) -> list[TaxedShares]:
        """Return the shares of interest and late interest of a date, as the books stand, by investor and loan."""
        ...

    def fees(self, first: date, last: date) -> list[ChargedFees]:
        """Return what each settlement date of a period charged, as the books stand, by date and currency."""
        ...

    def journal(self, first: date, last: date, *, until: int | None = None) -> list[JournalSum]:
        """Return what was posted under the dates of a period, by kind of account, event and currency.

        `until` is the last entry that counts, by its number; all do without one.
        """
        ...

    def newest_entry(self) -> int:
        """Return the number of the newest entry of the journal, 0 before the first."""
        ...

    def balances(self, on: date) -> list[AccountSum]:
        """Return what each kind of account holds at the end of a date: what was posted under it and those before it."""
        ...

    def investors(self, first: date, last: date) -> list[InvestorSum]:
        """Return every investor's account over a period, by id and currency; one that is empty throughout is left out.

        What was taken over within the period counts as its opening.
        """
        ...

    def breaks(self, on: date) -> list[StandingBreak]:
        """Return the breaks that were opened by the end of a date and not over by then, oldest first."""
        ...

    def sums(self) -> list[MonthSum]:
        """Return what was kept back of each certified month, and of the opening's, and what was handed on for it."""
        ...

    def unmatched(self) -> list[RemittedLine]:
        """Return the lines that hand something on and pay no month's sum so far, by booking date."""
        ...

    def keep_remittances(self, line: RemittedLine, parts: Mapping[date, int], *, now: datetime) -> None:
        """Write which months' sums a line pays, and with how much of it; nothing changes it afterwards."""

    def due(self) -> list[DueMonth]:
        """Return the months of which a date was certified since they were, oldest first."""
        ...

    def certificates(self) -> list[MonthCertificate]:
        """Return every certificate of a month in the order in which they were issued."""
        ...

    def certificate(self, month: date) -> MonthCertificate | None:
        """Return the newest certificate of the month that begins on this day, or None where it has none."""
        ...

    def keep_certificate(self, certificate: MonthCertificate) -> None:
        """Write a certificate; nothing changes it afterwards."""
