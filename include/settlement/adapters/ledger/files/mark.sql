-- Say where a file stands; the first sending keeps its instant, and what is rejected stays so.
update ledger.payout_files
   set state = :state,
       sent_at = case when :state = 'submitted' then coalesce(sent_at, :now) else sent_at end
 where file_id = :file_id and state <> 'rejected'
