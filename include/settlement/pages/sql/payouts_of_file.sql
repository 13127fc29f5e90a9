-- One row per payout of a payment file.
select payout_id, settlement_date, payee_kind, payee_id, currency, amount, state, end_to_end_id, bank_reason, booked_on
  from ledger.payouts
 where file_id = :id
 order by payout_id
 limit :limit
