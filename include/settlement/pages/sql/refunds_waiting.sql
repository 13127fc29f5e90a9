-- One row per refund that was refused, or that is owed and held, with why.
select refund_id, settlement_date, loan_id, currency, amount, 0 as owed_amount, rule as reason
  from ledger.standing_refused_refunds
 where released_on is null
 union all
select r.refund_id, r.settlement_date, r.loan_id, r.currency, r.amount, h.amount, h.reason
  from ledger.holds h
  join ledger.standing_refunds r on r.refund_id = h.payee_id and r.currency = h.currency
 where h.payee_kind = 'borrower'
 order by settlement_date, refund_id
 limit 100
