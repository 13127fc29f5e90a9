-- One row per change of a held credit of these loans on a settlement date, as the books stand, in their order.
select loan_id, repayment_id, currency, amount, event
  from ledger.standing_credits
 where settlement_date = :on and loan_id = any(:loans)
 order by loan_id collate "C", position
