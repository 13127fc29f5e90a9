-- One row per currency of the newest revision of a settlement date; none where it was never computed.
select currency, revision, repayment_count, received_amount, distributed_amount, fee_amount, vat_amount,
       national_tax_amount, local_tax_amount, cost_amount, credit_amount, quarantined_amount, refunded_amount
  from reporting.settlement_days
 where settlement_date = :on and currency is not null
 order by currency
