-- Allocations that earlier days made of these repayments, numbered; goes on in `prior_allocations` or `prior_shares`.
with prior as (
  select row_number() over (order by x.settlement_date, x.position) as allocation_id, x.*
    from ledger.allocations x
    join ledger.days d on d.settlement_date = x.settlement_date and d.revision = x.revision
   where x.repayment_id = any(:ids) and x.settlement_date < :on
)
