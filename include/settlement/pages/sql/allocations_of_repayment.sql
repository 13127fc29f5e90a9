-- One row per receivable that a receipt paid, as the books stand.
select settlement_date, revision, receivable_id, currency, component, amount
  from ledger.standing_allocations
 where repayment_id = :id
 order by settlement_date, position
