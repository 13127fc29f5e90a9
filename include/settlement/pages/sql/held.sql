-- One row per reason and currency of what is owed and not paid now.
select reason, currency, count(*) as count, sum(amount)::bigint as amount
  from ledger.holds
 group by reason, currency
 order by currency, reason
