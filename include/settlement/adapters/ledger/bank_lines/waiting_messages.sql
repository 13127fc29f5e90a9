-- The messages that wait for whoever calls our account [ours], or the one of them with this hash: those that nobody has
-- read, and those that were foreign when it was called otherwise.
select m.sha256, m.name, m.kind, m.content
  from ledger.bank_messages m
 where (m.state = 'new'
        or m.state = 'foreign' and m.foreign_to <> :ours
           and not exists (select from ledger.messages_read_again a where a.sha256 = m.sha256))
   and (cast(:sha as text) is null or m.sha256 = :sha)
 order by m.recorded_at, m.sha256
