"""Entries, their postings and the balances that they come to."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.adapters.ledger.repository import Repository

PAYABLE = "investor_payable:"

SUBJECTS_OF_ENTRY = ("repayment_id", "payout_id", "line_id")
"""What an entry may be about."""

NUMBERS_OF_PAYOUT = {"chunk": "int32", "attempt": "int32", "amount": "int64"}
"""The columns of a payout that are not text, as the ledger keeps them."""


class Journal(Repository):
    """Entries, their postings and the balances that they come to."""

    def post(
        self,
        event: str,
        legs: Sequence[tuple[str, int]],
        *,
        settlement_date: date,
        currency: str,
        now: datetime,
        repayment_id: str | None = None,
        payout_id: str | None = None,
        line_id: str | None = None,
    ) -> None:
        """Post one entry. `legs` are (account, amount), debits positive, and sum to zero."""
        self.post_all(
            event,
            [
                {
                    "legs": legs,
                    "currency": currency,
                    "repayment_id": repayment_id,
                    "payout_id": payout_id,
                    "line_id": line_id,
                }
            ],
            settlement_date=settlement_date,
            now=now,
        )

    def post_all(
        self, event: str, entries: Sequence[Mapping[str, Any]], *, settlement_date: date, now: datetime
    ) -> None:
        """Post many entries of one event together, whatever their number."""
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
        copying.records_into(
            self.transaction,
            "ledger.entries",
            {"entry_id": "int64"} | dict.fromkeys(("currency", *SUBJECTS_OF_ENTRY), "str"),
            (
                (number, entry["currency"], *map(entry.get, SUBJECTS_OF_ENTRY))
                for number, entry in enumerate(entries, start=first)
            ),
            {"settlement_date": settlement_date, "revision": revision, "recorded_at": now, "event": event},
        )
        copying.records_into(
            self.transaction,
            "ledger.postings",
            {"entry_id": "int64", "account": "str", "currency": "str", "amount": "int64"},
            (
                (number, account, entry["currency"], amount)
                for number, entry in enumerate(entries, start=first)
                for account, amount in entry["legs"]
                if amount
            ),
            {"settlement_date": settlement_date, "part": 0},
        )

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
