-- One row per entry that gave the money of one of these payouts back and is not reversed.
select e.entry_id, e.event, p.payout_id, p.payee_kind, p.payee_id, p.currency, p.amount
  from ledger.entries e
  join ledger.payouts p using (payout_id)
 where e.payout_id = any(:ids) and e.event = any(:events) and e.reverses_entry_id is null
   and not exists (select from ledger.entries r where r.reverses_entry_id = e.entry_id)
 order by e.entry_id
