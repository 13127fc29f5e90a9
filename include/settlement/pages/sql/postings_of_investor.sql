-- One row per posting of a date on an investor's account: positive when more is owed.
select e.entry_id, e.event, e.repayment_id, e.payout_id, p.currency, -p.amount as amount
  from ledger.postings p
  join ledger.entries e using (entry_id)
 where p.settlement_date = :on and p.account = 'investor_payable:' || :id
 order by e.entry_id
 limit 1000
