-- One row per receipt of a loan, newest first.
select repayment_id, currency, received_at, amount, reverses_repayment_id, state, window_on, settled_on
  from ledger.repayments
 where loan_id = :id
 order by received_at desc, repayment_id
 limit :limit
