-- One row per instruction, requested before the instant $1, to pay held credit back to the borrower.
select refund_id, loan_id, currency, amount, requested_at
  from core.refunds
 where requested_at < $1::timestamptz and isfinite(requested_at)
