-- One row per investor, date and currency of what a receipt brought on these dates, as the books stand.
select s.settlement_date, s.investor_id, s.currency, sum(s.gross_amount)::bigint as gross_amount,
       sum(s.fee_amount + s.vat_amount)::bigint as fee_amount,
       sum(s.national_tax_amount + s.local_tax_amount)::bigint as tax_amount, sum(s.net_amount)::bigint as net_amount
  from ledger.standing_allocations a
  join ledger.shares s on s.settlement_date = a.settlement_date and s.revision = a.revision and s.position = a.position
 where a.repayment_id = :id and s.settlement_date = any(cast(:days as date[]))
 group by s.settlement_date, s.investor_id, s.currency
 order by s.settlement_date, s.investor_id
 limit 500
