-- What somebody uploads, unless these very bytes were uploaded or came from the bank before.
insert into ledger.uploads (sha256, name, content, uploaded_by, reason, uploaded_at)
select :sha, :name, :content, :by, :reason, :now
 where not exists (select from ledger.bank_messages where sha256 = :sha)
    on conflict (sha256) do nothing
returning sha256
