-- One row per receipt that was taken over and that no run has taken as the books stand.
select o.repayment_id, o.loan_id, o.received_at, o.amount, null as reverses_repayment_id
  from ledger.opening_receipts o
  left join ledger.repayments r using (repayment_id)
 where (r.state is null or r.state = 'untaken') and (cast(:loans as text[]) is null or o.loan_id = any(:loans))
 order by o.received_at, o.repayment_id
