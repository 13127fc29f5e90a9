-- One row per thing that happened to a break.
select step, at, by, what
  from ledger.break_history
 where break_id = :id
 order by step
