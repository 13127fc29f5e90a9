-- One row per settlement date, loan, component and currency: an investor's shares in a period, as the books stand.
select settlement_date, loan_id, component, currency, sum(gross_amount)::bigint as gross_amount,
       sum(fee_amount)::bigint as fee_amount, sum(vat_amount)::bigint as vat_amount,
       sum(national_tax_amount)::bigint as national_tax_amount, sum(local_tax_amount)::bigint as local_tax_amount,
       sum(net_amount)::bigint as net_amount
  from ledger.standing_shares
 where settlement_date between :first and :last and investor_id = :investor
 group by settlement_date, loan_id, component, currency
 order by settlement_date, loan_id, component, currency
