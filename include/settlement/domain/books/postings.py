"""The entries of the journal (rules, section 6): one function for each event, which says what is debited and credited.

An amount may be one whole number of minor units, or an int64 array with one number for each entry of a column of
entries; accounts likewise are one name, or whatever stands for a column of names. Debits are positive. What always
holds: the legs of an entry sum to zero. A leg of 0 does not exist: whoever writes the entry leaves it out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from settlement.domain.books.accounts import (
    BANK_CHARGES,
    BANK_INTEREST,
    CLIENT_BANK,
    COST_RECOVERED,
    DIFFERENCE,
    FEE_INCOME,
    OPENING_BALANCE,
    PAYOUTS_IN_TRANSIT,
    RECEIPTS_IN_TRANSIT,
    REPAYMENTS_UNALLOCATED,
    SUSPENSE,
    TAX_PAYABLE_LOCAL,
    TAX_PAYABLE_NATIONAL,
    VAT_PAYABLE,
)


class Amount(Protocol):
    """What amounts have in common, be they one number or a column of them."""

    def __neg__(self) -> Self: ...


A = TypeVar("A", bound=Amount)
"""An amount, or a column of amounts."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[A]):
    """One event of the journal, and its legs: (account, amount), debits positive."""

    event: str
    legs: tuple[tuple[Any, A], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One entry in its currency, with what it is about."""

    entry: Entry[int]
    currency: str
    repayment_id: str | None = None
    payout_id: str | None = None
    line_id: str | None = None
    reverses_entry_id: int | None = None


def undone(entry: Entry[A]) -> Entry[A]:
    """Return what undoes an entry: the same event with its legs negated; whoever posts it names what it reverses."""
    return Entry(entry.event, tuple((account, -amount) for account, amount in entry.legs))


# ----------------------------------------------------------------------------------------------- repayments


def repayment_extracted(amount: A) -> Entry[A]:
    """Return what the first run that takes a repayment books."""
    return Entry("repayment_extracted", ((RECEIPTS_IN_TRANSIT.name, amount), (REPAYMENTS_UNALLOCATED.name, -amount)))


def repayment_distributed(
    amount: A,
    *,
    credit: Any,
    held: A,
    cost: A,
    fee: A,
    vat: A,
    national_tax: A,
    local_tax: A,
    investors: Iterable[tuple[Any, A]] = (),
) -> Entry[A]:
    """Return what a settled repayment books: `amount` divided, `held` of it kept on the loan's account `credit`.

    `investors` are the accounts of the investors with what each gets, net.
    """
    divided = _divided(cost, fee, vat, national_tax, local_tax, investors)
    return Entry("repayment_distributed", ((REPAYMENTS_UNALLOCATED.name, amount), (credit, -held), *divided))


def credit_applied(
    amount: A,
    *,
    credit: Any,
    cost: A,
    fee: A,
    vat: A,
    national_tax: A,
    local_tax: A,
    investors: Iterable[tuple[Any, A]] = (),
) -> Entry[A]:
    """Return what a held credit books that pays something: `amount` leaves the loan's account `credit`, divided."""
    return Entry("credit_applied", ((credit, amount), *_divided(cost, fee, vat, national_tax, local_tax, investors)))


def _divided(
    cost: A, fee: A, vat: A, national_tax: A, local_tax: A, investors: Iterable[tuple[Any, A]]
) -> tuple[tuple[Any, A], ...]:
    return (
        (COST_RECOVERED.name, -cost),
        (FEE_INCOME.name, -fee),
        (VAT_PAYABLE.name, -vat),
        (TAX_PAYABLE_NATIONAL.name, -national_tax),
        (TAX_PAYABLE_LOCAL.name, -local_tax),
        *(investor_share(account, net) for account, net in investors),
    )


def investor_share(account: Any, net: A) -> tuple[Any, A]:
    """Return the leg by which an entry that divides money gives an investor what is his, net."""
    return account, -net


def refund_ordered(amount: A, *, credit: Any, payable: Any) -> Entry[A]:
    """Return what moves a part of a loan's held credit to what is paid back to its borrower, the account `payable`."""
    return Entry("refund_ordered", ((credit, amount), (payable, -amount)))


def refund_undone(amount: A, *, credit: Any, payable: Any) -> Entry[A]:
    """Return what gives a part of a refund that was not paid back to the held credit it came from."""
    return Entry("refund_undone", ((payable, amount), (credit, -amount)))


def repayment_reversed(legs: Iterable[tuple[Any, A]]) -> Entry[A]:
    """Return what undoes an entry of a repayment: its legs, negated."""
    return Entry("repayment_reversed", tuple((account, -amount) for account, amount in legs))


# ------------------------------------------------------------------------------------------------- payouts


def payout_prepared(payee: Any, amount: A) -> Entry[A]:
    """Return what a payout books when it is written; `payee` is the account that it is paid from."""
    return Entry("payout_prepared", ((payee, amount), (PAYOUTS_IN_TRANSIT.name, -amount)))


def payout_rejected(payee: Any, amount: A) -> Entry[A]:
    """Return what gives a payout's money back that never left."""
    return Entry("payout_rejected", ((PAYOUTS_IN_TRANSIT.name, amount), (payee, -amount)))


def payout_returned(payee: Any, amount: A) -> Entry[A]:
    """Return what gives a payout's money back that left and came back."""
    return Entry("payout_returned", ((PAYOUTS_IN_TRANSIT.name, amount), (payee, -amount)))


# ------------------------------------------------------------------------------------------------- the bank


def opening(amount: A) -> Entry[A]:
    """Return what brings the custody account to the opening balance of its first statement."""
    return Entry("opening", ((CLIENT_BANK.name, amount), (OPENING_BALANCE.name, -amount)))


def opening_position(account: Any, amount: A) -> Entry[A]:
    """Return what takes over what stood on an account before the first settlement date; what is owed is positive."""
    return Entry("opening_position", ((OPENING_BALANCE.name, amount), (account, -amount)))


def line_matched(clears: Any, amount: A) -> Entry[A]:
    """Return what a statement line books that is something of ours in transit; a credit of the bank is positive."""
    return Entry("line_matched", ((CLIENT_BANK.name, amount), (clears, -amount)))


def line_suspended(amount: A) -> Entry[A]:
    """Return what a statement line books that matches nothing."""
    return Entry("line_suspended", ((CLIENT_BANK.name, amount), (SUSPENSE.name, -amount)))


def suspense_resolved(clears: Any, amount: A) -> Entry[A]:
    """Return what a line in suspense books once it is known what it is."""
    return Entry("suspense_resolved", ((SUSPENSE.name, amount), (clears, -amount)))


def tolerance_booked(clears: Any, amount: A) -> Entry[A]:
    """Return what clears the difference of a match; on a payout it is what the bank kept for itself."""
    takes = BANK_CHARGES if clears == PAYOUTS_IN_TRANSIT.name else DIFFERENCE
    return Entry("tolerance_booked", ((takes.name, amount), (clears, -amount)))


def written_off(clears: Any, amount: A) -> Entry[A]:
    """Return what clears an account against `difference` on a person's word."""
    return Entry("written_off", ((DIFFERENCE.name, amount), (clears, -amount)))


def bank_charge(amount: A) -> Entry[A]:
    """Return what a charge of the bank books; one that leaves the account is negative."""
    return Entry("bank_charge", ((CLIENT_BANK.name, amount), (BANK_CHARGES.name, -amount)))


def bank_interest(amount: A) -> Entry[A]:
    """Return what interest of the bank books; one that comes in is positive."""
    return Entry("bank_interest", ((CLIENT_BANK.name, amount), (BANK_INTEREST.name, -amount)))


def remitted(account: Any, amount: A) -> Entry[A]:
    """Return what leaves for an account outside that fees, taxes or costs are handed on to; leaving is negative."""
    return Entry("remitted", ((CLIENT_BANK.name, amount), (account, -amount)))


def line_booked(clears: str, amount: int, *, is_suspended: bool, is_written_off: bool = False) -> Entry[int]:
    """Return what a line books that turned out to be something: `clears` is the account that it clears.

    A line that stands in suspense leaves it; otherwise the event follows from the account.
    """
    if is_written_off:
        return written_off(SUSPENSE.name if is_suspended else CLIENT_BANK.name, -amount)
    if is_suspended:
        return suspense_resolved(clears, amount)
    if clears == BANK_CHARGES.name:
        return bank_charge(amount)
    if clears == BANK_INTEREST.name:
        return bank_interest(amount)
    if clears in (RECEIPTS_IN_TRANSIT.name, PAYOUTS_IN_TRANSIT.name):
        return line_matched(clears, amount)
    return remitted(clears, amount)
