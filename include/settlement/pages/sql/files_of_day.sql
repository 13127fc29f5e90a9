-- One row per payment file of a settlement date.
select file_id, currency, payment_count, amount, state, created_at, sent_at, sha256
  from ledger.payout_files
 where settlement_date = :on
 order by file_id
