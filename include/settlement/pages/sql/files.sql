-- One row per payment file, newest first.
select file_id, settlement_date, currency, payment_count, amount, state, created_at, sent_at
  from ledger.payout_files
 order by settlement_date desc, file_id desc
 limit :limit
