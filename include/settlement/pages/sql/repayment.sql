-- One row: a receipt that a run has taken.
select repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, state, window_on, taken_on, settled_on,
       reversed_by
  from ledger.repayments
 where repayment_id = :id
