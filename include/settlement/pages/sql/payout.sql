-- One row: a payout, with the payee's name, which not everybody is shown.
select payout_id, settlement_date, revision, payee_kind, payee_id, payee_name, payee_bank, currency, chunk, attempt, amount,
       state, end_to_end_id, file_id, bank_reason, prepared_at, submitted_at, booked_on, run_id
  from ledger.payouts
 where payout_id = :id
