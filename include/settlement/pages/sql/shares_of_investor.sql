-- One row per share of an investor of a date, as the books stand.
select repayment_id, loan_id, receivable_id, note_id, currency, component, gross_amount, fee_amount, vat_amount,
       national_tax_amount, local_tax_amount, net_amount
  from ledger.standing_shares
 where settlement_date = :on and investor_id = :id
 order by position, note_id
 limit 1000
