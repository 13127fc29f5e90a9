-- One row per entry that wrote one of these receipts or payouts off and is not reversed, with the account that it cleared.
select e.entry_id, e.currency, e.repayment_id, e.payout_id, p.account, p.amount
  from ledger.entries e
  join ledger.postings p using (entry_id)
 where e.event = 'written_off' and e.reverses_entry_id is null and p.account <> 'difference'
   and (e.repayment_id = any(:ids) or e.payout_id = any(:ids))
   and not exists (select from ledger.entries r where r.reverses_entry_id = e.entry_id)
 order by e.entry_id
