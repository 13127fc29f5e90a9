-- One row per posting of the entries by which a settlement date moved money of these loans, as the books stand.
select e.entry_id, e.event, r.loan_id, e.repayment_id, e.currency, e.reverses_entry_id, p.account, p.amount
  from ledger.repayments r
  join ledger.standing_entries e using (repayment_id)
  join ledger.postings p using (entry_id)
 where r.loan_id = any(:loans) and e.settlement_date = :on and p.settlement_date = :on and e.event = any(:events)
 order by e.entry_id, p.account
