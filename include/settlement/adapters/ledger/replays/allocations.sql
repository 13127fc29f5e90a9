-- One row per allocation of these loans on a settlement date, as the books stand, in their order.
select repayment_id, loan_id, receivable_id, currency, component, amount
  from ledger.standing_allocations
 where settlement_date = :on and loan_id = any(:loans)
 order by loan_id collate "C", position
