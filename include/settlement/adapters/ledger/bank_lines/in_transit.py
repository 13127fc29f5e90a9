"""The part of the books that knows what is between us and the bank: item by item, and as balances.

An item is a receipt or a payout whose two sides do not meet yet, or a line in suspense. To count them it is not
necessary to look at all that ever was: whatever is open was touched by an entry since the newest certificate, or is
named there. A certificate names the oldest `MOST_NAMED` items that are open, and says after which entry all others
came. `verify` counts everything from the beginning.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository
from settlement.domain.books.accounts import SUSPENSE
from settlement.ports.bank_lines import UnmatchedReceipt

MOST_NAMED = 1000

# Whatever an entry has touched since the newest certificate, and what that names; of a reversal both sides.
_TOUCHED = """
with touched as (
  select e.repayment_id, e.payout_id from ledger.entries e where e.entry_id > :since),
receipts as (
  select repayment_id as subject_id from touched where repayment_id is not null
  union select unnest(cast(:named as text[])) collate "C"),
repayments as (
  select subject_id from receipts
  union select r.reversed_by from receipts join ledger.repayments r on r.repayment_id = subject_id
   where r.reversed_by is not null),
payouts as (
  select payout_id as subject_id from touched where payout_id is not null
  union select unnest(cast(:named as text[])))
"""

_ITEMS = """
select account, subject_id, currency, sum(amount)::bigint as amount from (
  -- a receipt from its extraction until its line; what of it a reversal or a person cleared besides
  select 'receipts_in_transit' as account, s.subject_id, r.currency, r.amount
    from repayments s join ledger.repayments r on r.repayment_id = s.subject_id
   where r.is_extracted and r.reverses_repayment_id is null
  union all
  select 'receipts_in_transit', s.subject_id, r.currency, -r.amount
    from repayments s join ledger.repayments r on r.repayment_id = s.subject_id
    join ledger.repayments o on o.repayment_id = r.reverses_repayment_id
   where o.is_extracted and r.state in ('settled', 'cancelled')
  union all
  select 'receipts_in_transit', s.subject_id, l.currency, -(m.amount + m.difference)
    from repayments s join ledger.matches m on m.subject_id = s.subject_id join ledger.statement_lines l using (line_id)
   where m.subject_kind in ('receipt', 'receipt_undone')
  union all
  select p.account, s.subject_id, p.currency, p.amount
    from repayments s join ledger.entries e on e.repayment_id = s.subject_id join ledger.postings p using (entry_id)
   where e.event = 'written_off' and p.account = 'receipts_in_transit'
  union all
  -- a payout from its preparation until its line, or until its money is given back
  select 'payouts_in_transit', s.subject_id, p.currency, -p.amount
    from payouts s join ledger.payouts p on p.payout_id = s.subject_id where p.state not in ('rejected', 'returned')
  union all
  select 'payouts_in_transit', s.subject_id, l.currency, -(m.amount + m.difference)
    from payouts s join ledger.matches m on m.subject_id = s.subject_id join ledger.statement_lines l using (line_id)
   where m.subject_kind in ('payout', 'payout_return')
  union all
  select p.account, s.subject_id, p.currency, p.amount
    from payouts s join ledger.entries e on e.payout_id = s.subject_id join ledger.postings p using (entry_id)
   where e.event = 'written_off' and p.account = 'payouts_in_transit'
  union all
  select 'suspense', line_id, currency, -amount from ledger.statement_lines where state = 'suspended'
) items group by account, subject_id, currency having sum(amount) <> 0
"""

OPEN_ITEMS = (
    "-- One row per item that is open: what stands between us and the bank because of it.\n"
    f"{_TOUCHED}{_ITEMS} order by account, subject_id, currency"
)

OPEN_SUMS = f"""
-- One row per account and currency: the sum of everything that is between us and the bank, item by item.
{_TOUCHED}select account, currency, sum(amount)::bigint from ({_ITEMS}) items group by account, currency
"""

UNMATCHED_RECEIPTS = f"""
-- One row per receipt, or receipt undone, that the books have taken and no statement line has shown yet.
{_TOUCHED}select r.repayment_id, r.loan_id, r.currency, r.amount, r.window_on, r.received_at, r.reverses_repayment_id
  from repayments s join ledger.repayments r on r.repayment_id = s.subject_id
  left join ledger.repayments o on o.repayment_id = r.reverses_repayment_id
 where (r.is_extracted or r.reverses_repayment_id is not null
        and (r.state = 'settled' or r.state = 'cancelled' and o.is_extracted))
   and not exists (select from ledger.matches m where m.subject_id = r.repayment_id
                    and m.subject_kind in ('receipt', 'receipt_undone'))
   and not exists (select from ledger.entries e where e.repayment_id = r.repayment_id and e.event = 'written_off')
 order by r.repayment_id
"""

FIRST_TOUCHED = """
-- One row per item: the entry that touched it first.
select subject_id, min(entry_id) as entry_id from (
  select repayment_id as subject_id, entry_id from ledger.entries where repayment_id = any(:ids)
  union all select payout_id, entry_id from ledger.entries where payout_id = any(:ids)) touching
 group by subject_id
"""


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
        reach: dict[str, Any] = {"since": 0, "named": []} if is_whole else self._reach()
        rows = self.transaction.execute(sa.text(OPEN_SUMS), reach)
        return {(row[0], row[1]): row[2] for row in rows if row[2]}

    def receipts(self) -> list[UnmatchedReceipt]:
        """Return the extracted repayments whose money no statement line has shown yet, and undone receipts likewise."""
        rows = self.transaction.execute(sa.text(UNMATCHED_RECEIPTS), self._reach()).mappings()
        return [UnmatchedReceipt(**row) for row in rows]

    def open_items(self) -> Mapping[str, Any]:
        """Return what a certificate says of them: the oldest that are open, by name, and whence the others came."""
        run = self.transaction.execute
        items = [dict(row) for row in run(sa.text(OPEN_ITEMS), self._reach()).mappings()]
        ids = [item["subject_id"] for item in items if item["account"] != SUSPENSE.name]
        first = {row.subject_id: row.entry_id for row in run(sa.text(FIRST_TOUCHED), {"ids": ids})}
        ordered = sorted(items, key=lambda item: (first.get(item["subject_id"], 0), item["subject_id"]))
        unnamed = [first[item["subject_id"]] for item in ordered[MOST_NAMED:] if item["subject_id"] in first]
        newest = int(run(sa.text("select coalesce(max(entry_id), 0) from ledger.entries")).scalar_one())
        return {"named": ordered[:MOST_NAMED], "others_since": min(unnamed, default=newest + 1) - 1}

    def _reach(self) -> dict[str, Any]:
        """Return where to look: after which entry, and at what the newest certificate names."""
        body = self.transaction.execute(
            sa.text("select body from ledger.certificates order by number desc limit 1")
        ).scalar()
        certified: dict[str, Any] = json.loads(body)["in_transit"] if body else {"named": [], "others_since": 0}
        named = [item["subject_id"] for item in certified["named"]]
        return {"since": certified["others_since"], "named": named}
