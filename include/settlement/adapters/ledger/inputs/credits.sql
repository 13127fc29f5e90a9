-- One row per repayment of which something was held before the day, in the order in which it came to be held.
select loan_id, repayment_id, received_at, amount, row_number() over (order by since, first_position) as position
  from (
    select x.loan_id, x.repayment_id, r.received_at, sum(x.amount)::bigint as amount, min(x.settlement_date) as since,
           (array_agg(x.position order by x.settlement_date, x.position))[1] as first_position
      from ledger.credit_changes x
      join ledger.repayments r using (repayment_id)
     where x.settlement_date < :on and x.loan_id = any(:loans)
     group by x.loan_id, x.repayment_id, r.received_at
    having sum(x.amount) <> 0
  ) held
 order by position
