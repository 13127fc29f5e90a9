"""Entries, their postings and the balances that they come to."""

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.books import postings
from settlement.domain.books.postings import JournalEntry


class Journal(Repository):
    """Entries, their postings and the balances that they come to."""

    def post(self, entry: JournalEntry, *, settlement_date: date, now: datetime) -> None:
        """Post one entry."""
        self.post_all([entry], settlement_date=settlement_date, now=now)

    def post_all(self, entries: Sequence[JournalEntry], *, settlement_date: date, now: datetime) -> None:
        """Post many entries together, whatever their number."""
        if not entries:
            return
        run = self.transaction.execute
        run(sa.text("select ledger.ensure_partition('ledger.postings', :on, 0)"), {"on": settlement_date})
        first = run(
            sa.text(
                "select min(id) from (select nextval('ledger.entries_entry_id_seq') as id from generate_series(1, :n))"
                " ids"
            ),
            {"n": len(entries)},
        ).scalar_one()
        revision = run(
            sa.text("select coalesce(max(revision), 0) from ledger.days where settlement_date = :on"),
            {"on": settlement_date},
        ).scalar_one()
        columns = ("currency", "repayment_id", "payout_id", "line_id")
        copying.records_into(
            self.transaction,
            "ledger.entries",
            {"entry_id": "int64", "event": "str", "reverses_entry_id": "Int64"} | dict.fromkeys(columns, "str"),
            (
                (number, made.entry.event, made.reverses_entry_id, *(getattr(made, name) for name in columns))
                for number, made in enumerate(entries, start=first)
            ),
            {"settlement_date": settlement_date, "revision": revision, "recorded_at": now},
        )
        copying.records_into(
            self.transaction,
            "ledger.postings",
            {"entry_id": "int64", "account": "str", "currency": "str", "amount": "int64"},
            (
                (number, account, made.currency, amount)
                for number, made in enumerate(entries, start=first)
                for account, amount in made.entry.legs
                if amount
            ),
            {"settlement_date": settlement_date, "part": 0},
        )

    def undo_write_offs(self, subject_ids: Sequence[str], *, settlement_date: date, now: datetime) -> None:
        """Reverse what was written off of receipts or payouts."""
        made = [
            JournalEntry(
                entry=postings.undone(postings.written_off(row.account, -row.amount)),
                currency=row.currency,
                repayment_id=row.repayment_id,
                payout_id=row.payout_id,
                reverses_entry_id=row.entry_id,
            )
            for row in self.transaction.execute(sql(__package__, "written_off"), {"ids": list(subject_ids)})
        ]
        self.post_all(made, settlement_date=settlement_date, now=now)

    def balance(self, account: str, currency: str) -> int:
        """Return the balance of one account, debit positive."""
        found = self.transaction.execute(
            sa.text("select amount from ledger.balances where account = :account and currency = :currency"),
            {"account": account, "currency": currency},
        ).scalar()
        return int(found or 0)

    def balances(self, prefix: str) -> dict[tuple[str, str], int]:
        """Return the balances other than zero of the accounts that begin so, by (account, currency)."""
        rows = self.transaction.execute(
            sa.text(
                "select account, currency, amount from ledger.balances where starts_with(account, :p) and amount <> 0"
            ),
            {"p": prefix},
        )
        return {(row.account, row.currency): row.amount for row in rows}
