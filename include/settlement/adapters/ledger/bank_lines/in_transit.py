"""The part of the books that knows what is between us and the bank: item by item, and as balances.

An item is a receipt or a payout whose two sides do not meet yet, or a line in suspense. To count them it is not
necessary to look at all that ever was: whatever is open was touched by an entry since the newest certificate, or is
named there. A certificate names the oldest `MOST_NAMED` items that are open, and says after which entry all others
came. `verify` counts everything from the beginning.
"""

import json
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.books.accounts import SUSPENSE
from settlement.ports.bank_lines import OpenItem, OpenItems, UnmatchedReceipt

MOST_NAMED = 1000
HERE = __package__


class InTransit(Repository):
    """Receipts and payouts in transit, and suspense."""

    def by_posting(self) -> dict[tuple[str, str], int]:
        """Return what stands in the accounts between us and the bank, by (account, currency)."""
        rows = self.transaction.execute(
            sa.text(
                "select account, currency, amount from ledger.balances"
                " where account in ('receipts_in_transit', 'payouts_in_transit', 'suspense') and amount <> 0"
            )
        )
        return {(row[0], row[1]): row[2] for row in rows}

    def by_item(self, *, is_whole: bool = False) -> dict[tuple[str, str], int]:
        """Return what should stand in them, counted item by item; `is_whole` counts from the very beginning."""
        where: dict[str, Any] = {"since": 0, "named": []} if is_whole else self._where_to_look()
        rows = self.transaction.execute(sql(HERE, "touched", "items", "open_sums"), where)
        return {(row[0], row[1]): row[2] for row in rows if row[2]}

    def receipts(self) -> list[UnmatchedReceipt]:
        """Return the extracted repayments whose money no statement line has shown yet, and undone receipts likewise."""
        rows = self.transaction.execute(sql(HERE, "touched", "unmatched_receipts"), self._where_to_look()).mappings()
        return [UnmatchedReceipt(**row) for row in rows]

    def open_items(self) -> OpenItems:
        """Return what a certificate says of them: the oldest that are open, by name, and whence the others came."""
        run = self.transaction.execute
        found = run(sql(HERE, "touched", "items", "open_items"), self._where_to_look()).mappings()
        items = [OpenItem(**row) for row in found]
        ids = [item.subject_id for item in items if item.account != SUSPENSE.name]
        first = {row.subject_id: row.entry_id for row in run(sql(HERE, "first_touched"), {"ids": ids})}
        ordered = sorted(items, key=lambda item: (first.get(item.subject_id, 0), item.subject_id))
        unnamed = [first[item.subject_id] for item in ordered[MOST_NAMED:] if item.subject_id in first]
        newest = int(run(sa.text("select coalesce(max(entry_id), 0) from ledger.entries")).scalar_one())
        return OpenItems(named=tuple(ordered[:MOST_NAMED]), others_since=min(unnamed, default=newest + 1) - 1)

    def _where_to_look(self) -> dict[str, Any]:
        """Return where to look: after which entry, and at what the newest certificate names."""
        body = self.transaction.execute(
            sa.text("select body from ledger.certificates order by number desc limit 1")
        ).scalar()
        certified: dict[str, Any] = json.loads(body)["in_transit"] if body else {"named": [], "others_since": 0}
        named = [item["subject_id"] for item in certified["named"]]
        return {"since": certified["others_since"], "named": named}
