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
from settlement.ports.refunds import TakenRefund, UndoneRefund, WaitingRefund

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

    def parts(self, refund_id: str, *, on: date = date.max) -> list[RefundPart]:
        """Return what a refund took of each credit by a date, less what was reversed by then or undone before it."""
        rows = self.transaction.execute(sql(HERE, "parts"), {"account": BORROWER_PAYABLE(refund_id), "on": on})
        return [RefundPart(**row._mapping) for row in rows]

    def undone(self, after: date, loan_ids: Sequence[str]) -> list[UndoneRefund]:
        """Return what people returned after a date of refunds of these loans, and what of it stands."""
        return [
            UndoneRefund(
                refund_id=row.refund_id,
                loan_id=row.loan_id,
                currency=row.currency,
                amount=row.amount,
                reason=row.reason,
                by=row.by,
                standing=[
                    (entry_id, RefundPart(repayment_id=repayment_id, amount=amount))
                    for entry_id, repayment_id, amount in zip(
                        row.entry_ids or (), row.repayment_ids or (), row.amounts or (), strict=True
                    )
                ],
            )
            for row in self.transaction.execute(sql(HERE, "undone"), {"on": after, "loans": list(loan_ids)})
        ]

    def take_back(self, undone: UndoneRefund, *, settlement_date: date, now: datetime) -> None:
        """Undo what stands of what was returned of a refund."""
        payable, credit = BORROWER_PAYABLE(undone.refund_id), BORROWER_CREDIT(undone.loan_id)
        made = [
            JournalEntry(
                entry=postings.undone(postings.refund_undone(part.amount, credit=credit, payable=payable)),
                currency=undone.currency,
                repayment_id=part.repayment_id,
                reverses_entry_id=entry_id,
            )
            for entry_id, part in undone.standing
        ]
        self._journal.post_all(made, settlement_date=settlement_date, now=now)

    def undo(
        self,
        refund: TakenRefund | UndoneRefund,
        parts: Sequence[RefundPart],
        *,
        after: date,
        settlement_date: date,
        reason: str,
        by: str,
        now: datetime,
    ) -> None:
        """Return parts of a refund to the credits that they came from, for the first time or again."""
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
            sql(HERE, "keep_undone"),
            named
            | {"after": after, "reason": reason, "by": by, "now": now, "is_again": isinstance(refund, UndoneRefund)},
        )
