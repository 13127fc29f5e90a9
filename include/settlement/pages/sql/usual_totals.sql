-- One row per week before a date and currency: what the same weekday paid out, which is what was sent and did not come back.
select f.settlement_date, f.currency,
       (sum(f.amount) - coalesce((select sum(p.amount) from ledger.payouts p
                                   where p.state in ('rejected', 'returned') and p.settlement_date = f.settlement_date
                                     and p.currency = f.currency and p.file_id is not null), 0))::bigint as amount
  from ledger.payout_files f
 where f.settlement_date = any(array[cast(:on as date) - 7, cast(:on as date) - 14, cast(:on as date) - 21, cast(:on as date) - 28])
 group by f.settlement_date, f.currency
 order by f.settlement_date desc
