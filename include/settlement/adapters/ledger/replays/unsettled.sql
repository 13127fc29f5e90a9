-- One row per repayment of these loans that was taken and is neither settled nor cancelled, as it was taken.
select repayment_id, loan_id, received_at, amount, reverses_repayment_id
  from ledger.repayments
 where loan_id = any(:ids) and state in ('quarantined', 'untaken')
 order by received_at, repayment_id
