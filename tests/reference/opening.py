"""Opening positions: what a system that settled until some date leaves to the one that goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A row of `core.opening_positions`."""

    kind: str
    subject_id: str
    currency: str
    amount: int


ACCOUNTS = ("tax_payable:national", "tax_payable:local", "vat_payable", "fee_income", "cost_recovered")


def positions_of(former: Reference) -> list[Position]:
    """Return what stands in the books of a system after its last date; its bank has shown all of its receipts."""
    facts = former.world.seen(former.runs - 1)
    found: list[Position] = []

    def stands(kind: str, subject_id: str, currency: str, amount: int) -> None:
        if amount:
            found.append(Position(kind=kind, subject_id=subject_id, currency=currency, amount=amount))

    for loan_id, books in former.books.items():
        if loan_id not in facts.loans:
            continue
        currency = facts.loans[loan_id].currency
        for note_id, amount in books.paid.items():
            stands("note_principal_repaid", note_id, currency, amount)
        for receivable_id, amount in books.allocated.items():
            stands("receivable_paid", receivable_id, currency, amount)
        stands("borrower_credit", loan_id, currency, sum(credit.amount for credit in books.credits))
        for repayment_id in books.extracted - books.settled.keys() - books.undone.keys():
            stands("repayment_unallocated", repayment_id, currency, former.was[repayment_id].amount)
    for (account, currency), amount in former.balances().items():
        kind, _, investor_id = account.partition(":")
        if kind == "investor_payable":
            stands(kind, investor_id, currency, -amount)
        elif account in ACCOUNTS:
            stands(account, "", currency, -amount)
    return found
