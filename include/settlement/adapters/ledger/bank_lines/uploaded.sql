-- One row per upload that is not kept as a message yet, oldest first.
select sha256, name, content
  from ledger.uploads u
 where not exists (select from ledger.bank_messages m where m.sha256 = u.sha256)
 order by uploaded_at, sha256
