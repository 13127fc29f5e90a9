-- One row per currency: what may still leave the custody account for payouts, because no statement has shown it yet.
select currency, sum(amount)::bigint as amount
  from (select currency, amount from ledger.payouts where not state = any(:final)
        union all
        select currency, amount from ledger.payouts where state = 'returned' and booked_on is null) under_way
 group by currency
