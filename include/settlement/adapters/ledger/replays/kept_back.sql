-- One row per repayment or refund of these loans that a settlement date kept back first, as the books stand.
select loan_id, repayment_id as subject_id, currency, amount, rule
  from ledger.standing_quarantine
 where settlement_date = :on and loan_id = any(:loans)
 union all
select loan_id, refund_id, currency, amount, rule
  from ledger.standing_refused_refunds
 where settlement_date = :on and loan_id = any(:loans)
 order by 2
