-- One row per payout of an amount that has not ended.
select payout_id, settlement_date, payee_kind, payee_id, currency, amount, state, end_to_end_id
  from ledger.payouts
 where state not in ('booked', 'rejected', 'returned') and amount = :amount and currency = :currency
 order by settlement_date, payout_id
 limit 20
