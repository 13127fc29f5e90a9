-- One row per state and currency of a settlement date's payouts.
select state, currency, count(*) as count, sum(amount)::bigint as amount
  from ledger.payouts
 where settlement_date = :on
 group by state, currency
 order by currency, state
