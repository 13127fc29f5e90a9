-- One row per loan, investor and currency of a settlement date, as the books stand: what its shares come to.
select loan_id, investor_id, currency, sum(gross_amount)::bigint as gross_amount, sum(fee_amount)::bigint as fee_amount,
       sum(vat_amount)::bigint as vat_amount, sum(national_tax_amount)::bigint as national_tax_amount,
       sum(local_tax_amount)::bigint as local_tax_amount,
       sum(national_tax_amount + local_tax_amount)::bigint as tax_amount, sum(net_amount)::bigint as net_amount
  from ledger.standing_shares
 where settlement_date = %(on)s
 group by loan_id, investor_id, currency
