-- One row per repayment of which something was held before the day, in the order in which it came to be held. What is held
-- is found first and its repayment looked up by its key, so that the receipts of other dates are not read.
with held as materialized (
  select loan_id, repayment_id, sum(amount)::bigint as amount, min(settlement_date) as since,
         (array_agg(position order by settlement_date, position))[1] as first_position
    from ledger.credit_changes
   where settlement_date < :on and loan_id = any(:loans)
   group by loan_id, repayment_id
  having sum(amount) <> 0
)
select loan_id, repayment_id, received_at, amount, row_number() over (order by since, first_position) as position
  from held
 cross join lateral (select received_at from ledger.repayments r where r.repayment_id = held.repayment_id limit 1) receipt
 order by position
