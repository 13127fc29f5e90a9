"""What a lender is taken over with: the kinds of opening positions, and the entry that each is booked with (rules, 10).

A position of a kind that is booked moves `opening_balance` against one account: what is owed or still held credits it,
what other systems have under way debits or credits what is in transit. Notes and receivables are booked with nothing:
what was repaid of them left the custody account before.
"""

from collections.abc import Container
from enum import StrEnum

from settlement.domain.books import postings
from settlement.domain.books.accounts import (
    BORROWER_CREDIT,
    COST_RECOVERED,
    FEE_INCOME,
    INVESTOR_PAYABLE,
    PAYOUTS_IN_TRANSIT,
    RECEIPTS_IN_TRANSIT,
    REPAYMENTS_UNALLOCATED,
    SUSPENSE,
    TAX_PAYABLE_LOCAL,
    TAX_PAYABLE_NATIONAL,
    VAT_PAYABLE,
)
from settlement.domain.books.postings import JournalEntry


class OpeningKind(StrEnum):
    """What an opening position is of. Source and ledger keep the same words."""

    NOTE_PRINCIPAL_REPAID = "note_principal_repaid"
    """Principal that the holders of a note got back before."""
    RECEIVABLE_PAID = "receivable_paid"
    """What was applied to a receivable before."""
    BORROWER_CREDIT = BORROWER_CREDIT.name
    """Money that is held on a loan."""
    REPAYMENT_UNALLOCATED = "repayment_unallocated"
    """A receipt that was booked before and not applied."""
    INVESTOR_PAYABLE = INVESTOR_PAYABLE.name
    """What an investor is owed; negative: overdrawn."""
    TAX_PAYABLE_NATIONAL = TAX_PAYABLE_NATIONAL.name
    TAX_PAYABLE_LOCAL = TAX_PAYABLE_LOCAL.name
    VAT_PAYABLE = VAT_PAYABLE.name
    FEE_INCOME = FEE_INCOME.name
    COST_RECOVERED = COST_RECOVERED.name
    SUSPENSE = SUSPENSE.name
    """Money in the custody account of which nobody knew what it is."""
    RECEIPT_IN_TRANSIT = "receipt_in_transit"
    """A receipt that was applied before and that no statement has shown, by its bank reference."""
    PAYOUT_IN_TRANSIT = "payout_in_transit"
    """A payout that was sent before and that no statement has shown, by its end-to-end id."""

    @property
    def is_of_loan(self) -> bool:
        """Whether it says something of one loan."""
        return self in OF_LOANS


K = OpeningKind
OF_LOANS = (K.NOTE_PRINCIPAL_REPAID, K.RECEIVABLE_PAID, K.BORROWER_CREDIT, K.REPAYMENT_UNALLOCATED)
OF_ACCOUNTS = (
    K.TAX_PAYABLE_NATIONAL,
    K.TAX_PAYABLE_LOCAL,
    K.VAT_PAYABLE,
    K.FEE_INCOME,
    K.COST_RECOVERED,
    K.SUSPENSE,
)
"""The kinds that are one account, and name no subject."""
SUSPENDED = "opening-suspense"
"""What an entry is about that clears money which was taken over unexplained."""
IN_TRANSIT = (K.RECEIPT_IN_TRANSIT, K.PAYOUT_IN_TRANSIT)


def credit_of(loan_id: str) -> str:
    """Return the repayment id that a held credit bears which was taken over."""
    return f"opening:{loan_id}"


def receipt_of(currency: str, reference: str) -> str:
    """Return the id under which the books match a receipt that was under way, and that is no repayment of ours."""
    return f"opening-receipt:{currency}:{reference}"


def payout_of(currency: str, end_to_end_id: str) -> str:
    """Return the id under which the books match a payout that was under way, and that is none of ours."""
    return f"opening-payout:{currency}:{end_to_end_id}"


def reference_of(subject_id: str, others: Container[str]) -> str:
    """Return the bank reference of a receipt under way: of several that share one the later end in #2, #3.

    `others` are the subjects of the same currency: one that ends so without another before it is called so.
    """
    base, mark, number = subject_id.rpartition("#")
    return base if mark and number.isdecimal() and base in others else subject_id


def entry(kind: OpeningKind, subject_id: str, currency: str, amount: int) -> JournalEntry | None:
    """Return what a position books, or None where it books nothing."""
    match kind:
        case K.NOTE_PRINCIPAL_REPAID | K.RECEIVABLE_PAID:
            return None
        case K.BORROWER_CREDIT:
            made = postings.opening_position(BORROWER_CREDIT(subject_id), amount)
            return JournalEntry(entry=made, currency=currency, repayment_id=credit_of(subject_id))
        case K.REPAYMENT_UNALLOCATED:
            made = postings.opening_position(REPAYMENTS_UNALLOCATED.name, amount)
            return JournalEntry(entry=made, currency=currency, repayment_id=subject_id)
        case K.INVESTOR_PAYABLE:
            made = postings.opening_position(INVESTOR_PAYABLE(subject_id), amount)
            return JournalEntry(entry=made, currency=currency)
        case K.RECEIPT_IN_TRANSIT:
            made = postings.opening_position(RECEIPTS_IN_TRANSIT.name, -amount)
            return JournalEntry(entry=made, currency=currency, repayment_id=receipt_of(currency, subject_id))
        case K.PAYOUT_IN_TRANSIT:
            made = postings.opening_position(PAYOUTS_IN_TRANSIT.name, amount)
            return JournalEntry(entry=made, currency=currency, payout_id=payout_of(currency, subject_id))
        case _:
            return JournalEntry(entry=postings.opening_position(kind.value, amount), currency=currency)
