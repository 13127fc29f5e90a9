-- One row per refund that a settlement date took or refused, with what of it is owed and not on its way by now.
select r.refund_id, r.loan_id, r.currency, r.amount, 'ordered' as outcome, coalesce(-b.amount, 0) as owed_amount
  from ledger.standing_refunds r
  left join ledger.balances b on b.account = 'borrower_payable:' || r.refund_id and b.currency = r.currency
 where r.settlement_date = :on
 union all
select refund_id, loan_id, currency, amount, rule, 0
  from ledger.standing_refused_refunds
 where settlement_date = :on
 order by refund_id
