-- Say where a file stands; what is rejected stays so.
update ledger.payout_files
   set state = :state
 where file_id = :file_id and state <> 'rejected'
