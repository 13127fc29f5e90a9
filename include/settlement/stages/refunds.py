"""Refunds that a person looks after: those that wait, and those that go back to the credit that they came from."""

from datetime import datetime
from typing import Any

from settlement.domain.books.accounts import BORROWER_PAYABLE
from settlement.domain.errors import Refused
from settlement.domain.payments import refunds
from settlement.ports.refunds import WaitingRefund
from settlement.ports.services import Services
from settlement.stages import apply


def waiting(services: Services) -> list[WaitingRefund]:
    """Return the refunds that were refused, or that are owed and not on their way, oldest first."""
    with services.ledger.books(read_only=True) as books:
        return books.refunds.waiting()


def undo(services: Services, refund_id: str, *, reason: str, by: str, now: datetime) -> dict[str, Any]:
    """Return what is unpaid of a refund to the held credit, as when its payee's account was refused.

    The next run takes the credit first, as any other. The refund stays taken: to try again, the source writes another.

    Raises Refused: no run has taken such a refund, or nothing of it is unpaid.
    """
    with services.ledger.books(posting=True) as books:
        found = books.refunds.find(refund_id)
        if found is None:
            raise Refused(f"No run has taken a refund [{refund_id}]: `settlement refunds` lists those that wait")
        unpaid = -books.journal.balance(BORROWER_PAYABLE(refund_id), found.currency)
        if unpaid <= 0:
            raise Refused(
                f"Nothing of refund [{refund_id}] is unpaid: it is paid, on its way, or its money was taken back. What"
                " the bank does not pay, or returns, is unpaid again"
            )
        parts = list(refunds.unpaid_parts(books.refunds.parts(refund_id), unpaid))
        newest = max(books.days.settled())
        books.refunds.undo(
            found,
            parts,
            after=newest,
            settlement_date=apply.open_date(services, books, newest),
            reason=reason,
            by=by,
            now=now,
        )
    undone = sum(part.amount for part in parts)
    return {"refund_id": refund_id, "loan_id": found.loan_id, "currency": found.currency, "undone_amount": undone}
