-- One row per repayment of these that was ever taken, as it was taken.
select repayment_id, loan_id, received_at, amount, reverses_repayment_id
  from ledger.repayments
 where repayment_id = any(:ids)
 order by received_at, repayment_id
