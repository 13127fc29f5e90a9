-- Keep that a report rejected the whole file, or called it a duplicate; the same report counts once.
update ledger.payout_files
   set duplicates = duplicates || case when :is_duplicate then cast(:heard as text[]) else '{}' end,
       rejections = rejections || case when :is_duplicate then '{}' else cast(:heard as text[]) end
 where file_id = :file_id and not cast(:heard as text[]) && (duplicates || rejections)
