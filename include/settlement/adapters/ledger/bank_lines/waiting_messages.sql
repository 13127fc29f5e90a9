-- The messages that wait for a reader, or the one of them with this hash, oldest first: those that nobody has read; those
-- that were foreign or could not be used when they were read otherwise than with [with]; and those that came once more
-- since, and could not be used or brought a part of a day of which the last one is not there.
select m.sha256, m.name, m.kind, m.content, coalesce(m.came_at, m.recorded_at) as came_at,
       case when m.state <> 'new' then coalesce(m.first_read_at, m.recorded_at) end as first_read_at
  from ledger.bank_messages m
  left join (select distinct on (sha256) sha256, state from ledger.messages_read_again
              order by sha256, number desc) a using (sha256)
 where (m.state = 'new'
        or m.state in ('foreign', 'refused') and coalesce(a.state, m.state) in ('foreign', 'refused')
           and m.read_with is distinct from :with
        or m.came_at > m.read_as_of
           and (coalesce(a.state, m.state) = 'refused'
                or exists (select from ledger.statements s
                            where s.sha256 = m.sha256
                              and not exists (select from ledger.statements l
                                               where (l.account, l.currency, l.business_date, l.is_last)
                                                     = (s.account, s.currency, s.business_date, true)))))
   and (cast(:sha as text) is null or m.sha256 = :sha)
 order by m.recorded_at, m.sha256
