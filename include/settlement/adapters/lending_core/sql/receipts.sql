-- One row per receipt, or receipt undone, that the bank calls by one of the references $1 and that came at the instant $3
-- or later, or that we call by one of the ids $2.
select r.repayment_id, r.loan_id, r.received_at, r.amount, r.bank_reference, r.reverses_repayment_id, l.currency
  from core.repayments r join core.loans l using (loan_id)
 where r.bank_reference = any(string_to_array($1, E'\x1f')) and r.received_at >= $3::timestamptz
    or r.repayment_id = any(string_to_array($2, E'\x1f'))
