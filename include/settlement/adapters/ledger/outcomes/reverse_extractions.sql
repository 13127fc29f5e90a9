-- Post the reverse of these entries, each with its postings the other way round.
with undone as (
  insert into ledger.entries (settlement_date, revision, recorded_at, event, currency, repayment_id, reverses_entry_id)
  select :settlement_date, :revision, :now, 'repayment_reversed', currency, repayment_id, entry_id
    from ledger.entries
   where entry_id = any(:entries)
   order by entry_id
  returning entry_id, reverses_entry_id
)
insert into ledger.postings (settlement_date, part, entry_id, account, currency, amount)
select :settlement_date, 0, u.entry_id, p.account, p.currency, -p.amount
  from undone u
  join ledger.postings p on p.entry_id = u.reverses_entry_id
