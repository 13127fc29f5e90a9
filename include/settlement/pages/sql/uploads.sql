-- One row per upload, newest first, with what became of it since.
select u.sha256, u.name, u.uploaded_by, u.reason, u.uploaded_at, length(u.content) as bytes, coalesce(a.state, m.state) as state
  from ledger.uploads u
  left join ledger.bank_messages m using (sha256)
  left join lateral (select state from ledger.messages_read_again r where r.sha256 = m.sha256 order by number desc limit 1) a
       on true
 order by u.uploaded_at desc, u.sha256 desc
 limit 20
