-- One row per later day and loan of these that the day has moved or kept back.
select settlement_date, loan_id
  from ledger.standing_allocations
 where settlement_date > :on and loan_id = any(:loans)
 union
select settlement_date, loan_id
  from ledger.standing_credits
 where settlement_date > :on and loan_id = any(:loans)
 union
select settlement_date, loan_id
  from ledger.refunds_undone
 where settlement_date > :on and loan_id = any(:loans)
 union
select settlement_date, loan_id
  from ledger.standing_quarantine
 where settlement_date > :on and loan_id = any(:loans)
 order by 1, 2
