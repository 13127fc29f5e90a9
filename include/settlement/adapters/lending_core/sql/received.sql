-- One row per receipt, or receipt undone, in the window [$1, $2).
select repayment_id, loan_id, received_at, amount, reverses_repayment_id
  from core.repayments
 where received_at >= $1::timestamptz and received_at < $2::timestamptz
