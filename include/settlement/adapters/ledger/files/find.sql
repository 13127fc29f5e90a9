-- One row per payment file of a date and in the states that are named, oldest first.
select file_id, settlement_date, currency, payment_count, amount, created_at, sent_at, state, rejections, duplicates
  from ledger.payout_files
 where (cast(:file_id as text) is null or file_id = :file_id)
   and (cast(:on as date) is null or settlement_date = :on)
   and (cast(:states as text[]) = '{}' or state = any(:states))
 order by created_at, file_id
