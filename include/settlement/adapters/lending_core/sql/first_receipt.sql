-- When the first money of all came, if any did.
select min(received_at) as received_at
  from core.repayments
