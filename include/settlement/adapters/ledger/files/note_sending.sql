-- Keep the instant of a file's first sending.
update ledger.payout_files
   set sent_at = :now
 where file_id = :file_id and state <> 'rejected' and sent_at is null
