-- One row per loan of these that a settlement date has moved or kept back, as the books stand.
with touched as (
  select loan_id from ledger.standing_allocations where settlement_date = :on and loan_id = any(:loans)
   union
  select loan_id from ledger.standing_credits where settlement_date = :on and loan_id = any(:loans)
   union
  select loan_id from ledger.standing_quarantine where settlement_date = :on and loan_id = any(:loans)
   union
  select loan_id from ledger.standing_refunds where settlement_date = :on and loan_id = any(:loans)
   union
  select loan_id from ledger.standing_refused_refunds where settlement_date = :on and loan_id = any(:loans)
   union
  select r.loan_id
    from ledger.repayments r
    join ledger.standing_entries e using (repayment_id)
   where r.loan_id = any(:loans) and e.settlement_date = :on and e.event = any(:events)
)
select loan_id from touched order by loan_id collate "C"
