-- One row per payout of an investor, newest first.
select payout_id, settlement_date, currency, amount, state, end_to_end_id, booked_on, bank_reason
  from ledger.payouts
 where payee_id = :id and payee_kind = 'investor'
 order by prepared_at desc, payout_id desc
 limit :limit
