"""The part of the books that keeps what a lender was taken over with.

Notes and receivables stand in `ledger.positions` under the date of the opening, which lies before every settlement
date: so each of these finds them as it finds those of any date before it, and no replay lifts them. A held credit is of
a receipt of its own. A receipt that was booked and not applied waits here until a run takes it.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.books import opening as positions
from settlement.domain.books.opening import OpeningKind
from settlement.ports.opening import OpeningItem, TakenOver

HERE = __package__

KEPT = ["kind", "subject_id", "currency", "amount", "loan_id", "received_at"]


class Opening(Repository):
    """Opening positions; see `ports.Opening`."""

    def find(self) -> TakenOver | None:
        """Return the take-over, or None where the lender began with nothing."""
        query = sa.text("select first_date, opens_at, opened_on, sha256 from ledger.opening")
        row = self.transaction.execute(query).mappings().first()
        return TakenOver(**row) if row else None

    def keep(
        self,
        positions: pd.DataFrame,
        *,
        first_date: date,
        opens_at: datetime,
        opened_on: date,
        received_at: datetime,
        now: datetime,
    ) -> TakenOver:
        """Keep proven positions as where notes, receivables and credits stand on a date.

        Raises sqlalchemy.exc.IntegrityError: a lender is taken over once.
        """
        run = self.transaction.execute
        copying.frame_into(self.transaction, "ledger.opening_positions", positions[KEPT])
        made = {"first": first_date, "on": opened_on, "opens_at": opens_at, "now": now}
        row = run(sql(HERE, "keep_opening"), made).mappings().one()
        run(sql(HERE, "keep_positions"), {"on": opened_on})
        run(sql(HERE, "keep_credits"), {"on": opened_on, "received_at": received_at})
        return TakenOver(**row)

    def sums(self) -> dict[str, dict[str, int]]:
        """Return how many rows there are and what they sum to, by currency and kind in one text."""
        rows = self.transaction.execute(
            sa.text(
                "select currency || ' ' || kind as name, count(*) as rows, sum(amount)::bigint as amount"
                " from ledger.opening_positions group by 1 order by 1"
            )
        )
        return {row.name: {"count": row.rows, "amount": row.amount} for row in rows}

    def receipts(self, loan_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the receipts that were taken over and that no run has taken as the books stand, as repayments."""
        named: dict[str, Any] = {"loans": None if loan_ids is None else list(loan_ids)}
        rows = self.transaction.execute(sql(HERE, "receipts"), named).all()
        kinds = {column.name: column.kind for column in frames.REPAYMENTS.columns if column.name != "state"}
        return pd.DataFrame(
            {
                name: frames.column([row[place] for row in rows], kind)
                for place, (name, kind) in enumerate(kinds.items())
            }
        )

    def under_way(self) -> list[OpeningItem]:
        """Return what another system had under way, receipts and payouts, whether shown by a line since or not."""
        rows = self.transaction.execute(sql(HERE, "under_way")).all()
        named: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            if row.kind == OpeningKind.RECEIPT_IN_TRANSIT:
                named[row.currency].add(row.subject_id)
        return [
            OpeningItem(
                kind=OpeningKind(row.kind),
                subject_id=row.subject_id,
                reference=positions.reference_of(row.subject_id, named[row.currency])
                if row.kind == OpeningKind.RECEIPT_IN_TRANSIT
                else row.subject_id,
                currency=row.currency,
                amount=row.amount,
                is_shown=row.is_shown,
                is_written_off=row.is_written_off,
            )
            for row in rows
        ]

    def suspended(self) -> dict[str, int]:
        """Return what was taken over unexplained and is so still, by currency."""
        return {row.currency: row.amount for row in self.transaction.execute(sql(HERE, "suspended"))}

    def booked(self, currency: str) -> int:
        """Return what the opening took from `opening_balance` in a currency, debit positive."""
        of_accounts = sa.text(
            "select coalesce(sum(case kind when 'receipt_in_transit' then -amount else amount end), 0)"
            " from ledger.opening_positions"
            " where kind not in ('note_principal_repaid', 'receivable_paid') and currency = :currency"
        )
        return int(self.transaction.execute(of_accounts, {"currency": currency}).scalar_one())

    def receipt_ids(self) -> set[str]:
        """Return the ids of all receipts that were taken over."""
        return set(self.transaction.execute(sa.text("select repayment_id from ledger.opening_receipts")).scalars())

    def loans_waiting(self, day: date) -> set[str]:
        """Return the loans of receipts that were taken over and that no date before this one takes."""
        rows = self.transaction.execute(
            sa.text(
                "select o.loan_id from ledger.opening_receipts o left join ledger.repayments r using (repayment_id)"
                " where r.state is null or r.state = 'untaken' or r.stands_since >= :on"
            ),
            {"on": day},
        )
        return set(rows.scalars())
