-- The messages that wait for a reader, or the one of them with this hash, oldest first: those that nobody has read; those
-- that were foreign or could not be used when they were read otherwise than with [with], so many at a time that they take
-- no memory from the others; and those that came once more since, and could not be used or brought a part of a day of
-- which the last one is not there.
with said as (
  select m.sha256, m.recorded_at, m.came_at, m.read_as_of, m.read_with, coalesce(a.state, m.state) as state
    from ledger.bank_messages m
    left join (select distinct on (sha256) sha256, state from ledger.messages_read_again
                order by sha256, number desc) a using (sha256)
   where cast(:sha as text) is null or m.sha256 = :sha
), waiting as (
  select sha256 from said where state = 'new'
  union
  (select sha256 from said where state in ('foreign', 'refused') and read_with is distinct from :with
    order by recorded_at, sha256 limit 200)
  union
  select sha256 from said
   where came_at > read_as_of
     and (state = 'refused'
          or exists (select from ledger.statements s
                      where s.sha256 = said.sha256
                        and not exists (select from ledger.statements l
                                         where (l.account, l.currency, l.business_date, l.is_last)
                                               = (s.account, s.currency, s.business_date, true))))
)
select m.sha256, m.name, m.kind, m.content, coalesce(m.came_at, m.recorded_at) as came_at,
       case when m.state <> 'new' then coalesce(m.first_read_at, m.recorded_at) end as first_read_at
  from waiting join ledger.bank_messages m using (sha256)
 order by m.recorded_at, m.sha256
