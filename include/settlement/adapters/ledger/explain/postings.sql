-- One row per posting of a settlement date on an investor's account, in the order in which they were recorded.
select e.entry_id, e.event, e.repayment_id, e.payout_id, p.currency, p.amount
  from ledger.entries e
  join ledger.postings p using (entry_id)
 where e.settlement_date = :on and p.account = :account
 order by e.entry_id
