-- One row per receipt, or receipt undone, of the loans $1 (joined by the unit separator) that came before the instant $2.
select repayment_id, loan_id, received_at, amount, reverses_repayment_id
  from core.repayments
 where loan_id = any(string_to_array($1, E'\x1f')) and received_at < $2::timestamptz
