-- One row per cause and currency of the open breaks.
select cause, currency, count(*) as count, sum(abs(coalesce(amount, 0)))::bigint as amount
  from ledger.breaks
 where state in ('open', 'assigned')
 group by cause, currency
 order by cause, currency
