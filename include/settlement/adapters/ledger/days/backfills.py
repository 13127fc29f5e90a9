"""The part of the books that knows which runs are one backfill.

Airflow tells no task the number of its backfill, but has one backfill at a time. So whichever run comes first opens one
here, the others join it, and whoever finds that no run of it is left ends it. The number is ours.
"""

from datetime import datetime

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.ports.days import BackfillEnd

HERE = __package__


class Backfills(Repository):
    """Backfills and what they came to."""

    def join(self, *, now: datetime) -> str:
        """Return the id of the backfill that is under way, which begins if there is none."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.backfills (started_at) select :now"
                " where not exists (select from ledger.backfills where ended_at is null)"
                " on conflict ((true)) where ended_at is null do nothing"
            ),
            {"now": now},
        )
        return str(
            self.transaction.execute(
                sa.text("select backfill_id from ledger.backfills where ended_at is null")
            ).scalar_one()
        )

    def end(self, backfill_id: str, *, now: datetime) -> BackfillEnd:
        """End a backfill and return what it came to: how many days are ok, changed and failed, and what it paid.

        A day is changed when it had been computed before; its run that ended without a word has failed.
        """
        mine = {"id": int(backfill_id)}
        self.transaction.execute(
            sa.text("update ledger.backfills set ended_at = coalesce(ended_at, :now) where backfill_id = :id"),
            mine | {"now": now},
        )
        days = self.transaction.execute(sql(HERE, "backfill_days"), mine).one()
        paid = self.transaction.execute(sql(HERE, "backfill_paid"), mine)
        return BackfillEnd(
            ok=days.ok,
            changed=days.changed,
            failed=days.failed,
            paid={row.currency: row.amount for row in paid},
        )

    def silent(self, *, since: datetime) -> list[str]:
        """Return the backfills under way of which no run has begun or ended since then."""
        return [
            str(found)
            for found in self.transaction.execute(
                sa.text(
                    "select backfill_id from ledger.backfills b where ended_at is null and started_at < :since"
                    " and not exists (select from ledger.runs r where r.backfill_id = b.backfill_id"
                    "                  and greatest(r.started_at, r.ended_at) >= :since)"
                ),
                {"since": since},
            ).scalars()
        ]
