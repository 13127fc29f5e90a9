-- The first posting whose entry is not there.
select 'postings ' || p.entry_id
  from ledger.postings p
  left join ledger.entries e using (entry_id)
 where e.entry_id is null
 order by p.entry_id
 limit 1
