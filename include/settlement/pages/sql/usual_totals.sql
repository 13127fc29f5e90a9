-- One row per week before a date and currency: what the same weekday paid out.
select p.settlement_date, p.currency, sum(p.amount)::bigint as amount
  from generate_series(1, 4) as week
  join ledger.payouts p on p.settlement_date = cast(:on as date) - (week * 7)
 where p.state not in ('rejected', 'returned')
 group by p.settlement_date, p.currency
 order by p.settlement_date desc
