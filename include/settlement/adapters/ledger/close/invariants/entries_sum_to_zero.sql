-- The first entry without postings, with postings that do not sum to zero, or in a currency other than its own.
select 'entries ' || e.entry_id
  from ledger.entries e
  left join ledger.postings p using (entry_id)
 group by e.entry_id
having coalesce(sum(p.amount), 1) <> 0 or bool_or(p.currency <> e.currency)
 order by e.entry_id
 limit 1
