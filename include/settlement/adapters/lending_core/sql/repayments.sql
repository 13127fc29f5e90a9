-- One row per receipt, or receipt undone, with one of the ids $1 (joined by the unit separator).
select repayment_id, loan_id, received_at, amount, reverses_repayment_id
  from core.repayments
 where repayment_id = any(string_to_array($1, E'\x1f'))
