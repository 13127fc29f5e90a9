-- One row per share of the newest revision of a settlement date.
select repayment_id, receivable_id, note_id, investor_id, currency, component, gross_amount, fee_amount, vat_amount,
       national_tax_amount, local_tax_amount, net_amount
  from reporting.shares
 where settlement_date = :on
 order by repayment_id, receivable_id, note_id, gross_amount
