-- One row per account and currency of the newest fifty statements: the newest of each.
select distinct on (account, currency) statement_id, account, currency, business_date, closing, is_last
  from (select * from ledger.statements order by business_date desc, position desc limit 50) s
 order by account, currency, business_date desc, position desc
