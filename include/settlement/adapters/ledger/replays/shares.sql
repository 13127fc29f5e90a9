-- One row per share of these loans on a settlement date, as the books stand, in the order of their allocations.
select loan_id, note_id, investor_id, gross_amount, fee_amount, vat_amount, national_tax_amount, local_tax_amount,
       net_amount
  from ledger.standing_shares
 where settlement_date = :on and loan_id = any(:loans)
 order by loan_id collate "C", position, note_id
