-- One row per posting of the entries of a payout, which stand on these dates.
select e.entry_id, e.settlement_date, e.event, p.account, p.currency, p.amount
  from ledger.entries e
  join ledger.postings p on p.entry_id = e.entry_id and p.settlement_date = any(cast(:days as date[]))
 where e.payout_id = :id
 order by e.entry_id, p.account
