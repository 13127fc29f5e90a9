-- The first break that is over and whose history does not end so, or the other way round.
select 'breaks ' || b.break_id
  from ledger.breaks b
  left join lateral (select what
                       from ledger.break_history h
                      where h.break_id = b.break_id
                      order by step desc
                      limit 1) h on true
 where (b.state in ('resolved', 'written_off')) <> coalesce(h.what ~ '^(resolved|written off)', false)
 order by b.break_id
 limit 1
