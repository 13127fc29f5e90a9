-- One row per refund that was refused, or that is owed and not on its way, with why.
select refund_id, settlement_date, loan_id, currency, amount, 0 as owed_amount, rule as reason
  from ledger.standing_refused_refunds
 where released_on is null
 union all
select r.refund_id, r.settlement_date, r.loan_id, r.currency, r.amount, -b.amount, h.reason
  from ledger.standing_refunds r
  join ledger.balances b on b.account = :prefix || r.refund_id and b.currency = r.currency and b.amount < 0
  left join ledger.holds h on (h.payee_kind, h.payee_id, h.currency) = ('borrower', r.refund_id, r.currency)
 order by settlement_date, refund_id
