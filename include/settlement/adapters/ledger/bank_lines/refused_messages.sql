-- Every message that could not be used, oldest first, with what it was refused for last and since when it is; one that was
-- something else first is since it was read again.
select m.sha256, m.kind, m.name,
       case when m.state = 'refused' then m.recorded_at else a.refused_at end as recorded_at,
       case when a.state is null then m.refusal else a.refusal end as refusal,
       case when a.state is null then m.statement_id else a.statement_id end as statement_id,
       case when a.state is null then m.difference else a.difference end as difference
  from ledger.bank_messages m
  left join (select distinct on (sha256) sha256, state, refusal, statement_id, difference,
                    min(read_at) filter (where state = 'refused') over (partition by sha256) as refused_at
               from ledger.messages_read_again
              order by sha256, number desc) a using (sha256)
 where coalesce(a.state, m.state) = 'refused'
 order by 4, 1
