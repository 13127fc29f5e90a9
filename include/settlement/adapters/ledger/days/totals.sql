-- One row per currency of the newest revision of a settlement date.
select currency, repayment_count, received_amount, distributed_amount, fee_amount, vat_amount, national_tax_amount,
       local_tax_amount, cost_amount, credit_amount, quarantined_amount, refunded_amount
  from ledger.day_totals
  join ledger.days using (settlement_date, revision)
 where settlement_date = :on
 order by currency
