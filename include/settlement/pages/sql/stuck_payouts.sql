-- One row per state and currency of the payouts that have not ended, whatever their date, with the oldest of them.
select state, currency, count(*) as count, sum(amount)::bigint as amount, min(settlement_date) as oldest
  from ledger.payouts
 where state not in ('booked', 'rejected', 'returned')
 group by state, currency
 order by currency, state
