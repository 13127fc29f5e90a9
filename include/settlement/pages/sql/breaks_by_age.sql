-- One row per currency of the open breaks: how many there are, and how many are older than two ages in business days.
select currency, count(*) as count, sum(abs(coalesce(amount, 0)))::bigint as amount,
       count(*) filter (where age_business_days > :over) as over,
       count(*) filter (where age_business_days > :long_over) as long_over,
       max(age_business_days) as oldest
  from ledger.breaks
 where state in ('open', 'assigned')
 group by currency
 order by currency nulls last
