-- Allocations that earlier days made of these repayments, numbered; goes on in `prior_allocations` or `prior_shares`.
with prior as (
  select row_number() over (order by x.settlement_date, x.position) as allocation_id, x.*
    from ledger.standing_allocations x
   where x.repayment_id = any(:ids) and x.settlement_date < :on
)
