"""What runs took of held credits for borrowers, and what people returned to them."""

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from settlement.adapters.ledger.journal.repository import Journal
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.books import postings
from settlement.domain.books.accounts import BORROWER_CREDIT, BORROWER_PAYABLE
from settlement.domain.books.postings import JournalEntry
from settlement.domain.payments.refunds import RefundPart
from settlement.ports.refunds import TakenRefund, WaitingRefund

HERE = __package__


class Refunds(Repository):
    """What runs took of held credits for borrowers, and what people returned to them: see `ports.refunds`."""

    def __init__(self, transaction: sa.Connection, journal: Journal) -> None:
        super().__init__(transaction)
        self._journal = journal

    def find(self, refund_id: str) -> TakenRefund | None:
        """Return a refund that a run has taken."""
        row = self.transaction.execute(
            sa.text(
                "select refund_id, settlement_date, loan_id, currency, amount from ledger.standing_refunds"
                " where refund_id = :refund"
            ),
            {"refund": refund_id},
        ).first()
        return TakenRefund(**row._mapping) if row else None

    def waiting(self) -> list[WaitingRefund]:
        """Return the refunds that were refused, or that are owed and not on their way, oldest first."""
        rows = self.transaction.execute(sql(HERE, "waiting"), {"prefix": BORROWER_PAYABLE.prefix})
        return [WaitingRefund(**row._mapping) for row in rows]

    def parts(self, refund_id: str) -> list[RefundPart]:
        """Return what a refund took of each credit, in that order, less what was reversed or undone since."""
        rows = self.transaction.execute(sql(HERE, "parts"), {"account": BORROWER_PAYABLE(refund_id)})
        return [RefundPart(**row._mapping) for row in rows]

    def undo(
        self,
        refund: TakenRefund,
        parts: Sequence[RefundPart],
        *,
        after: date,
        settlement_date: date,
        reason: str,
        by: str,
        now: datetime,
    ) -> None:
        """Return parts of a refund to the credits that they came from."""
        payable, credit = BORROWER_PAYABLE(refund.refund_id), BORROWER_CREDIT(refund.loan_id)
        made = [
            JournalEntry(
                entry=postings.refund_undone(part.amount, credit=credit, payable=payable),
                currency=refund.currency,
                repayment_id=part.repayment_id,
            )
            for part in parts
        ]
        self._journal.post_all(made, settlement_date=settlement_date, now=now)
        named = {"account": payable, "refund": refund.refund_id, "loan": refund.loan_id}
        self.transaction.execute(
            sql(HERE, "keep_undone"), named | {"after": after, "reason": reason, "by": by, "now": now}
        )
