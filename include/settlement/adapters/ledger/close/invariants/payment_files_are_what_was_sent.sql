-- The first payment file whose bytes have another hash than when it was written.
select 'payout_files ' || file_id
  from ledger.payout_files
 where encode(sha256(content), 'hex') <> sha256
 order by file_id
 limit 1
