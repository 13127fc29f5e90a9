-- One row per message that was refused or is of another account, newest first, and what became of it when it was read again.
select m.sha256, m.kind, m.name, m.recorded_at, m.state, m.refusal, a.state as read_again
  from ledger.bank_messages m
  left join lateral (select state from ledger.messages_read_again r where r.sha256 = m.sha256 order by number desc limit 1) a
       on true
 where m.state in ('refused', 'foreign')
 order by m.recorded_at desc, m.sha256
 limit :limit
