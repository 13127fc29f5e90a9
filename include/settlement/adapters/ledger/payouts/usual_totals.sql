-- One row per currency and settlement date with payouts, newest date first.
select currency, sum(amount)::bigint as amount
  from ledger.payouts
 where settlement_date = any(:on) and not state = any(:proven_unpaid)
 group by currency, settlement_date
 order by currency, settlement_date desc
