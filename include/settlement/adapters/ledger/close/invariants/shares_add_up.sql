-- The first share whose net, fee, VAT and taxes do not make its gross amount.
select 'shares ' || settlement_date || '/' || revision || '/' || position || '/' || note_id
  from ledger.shares
 where gross_amount <> net_amount + fee_amount + vat_amount + national_tax_amount + local_tax_amount
 order by settlement_date, revision, position, note_id
 limit 1
