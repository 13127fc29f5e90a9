-- One row per break about a thing.
select break_id, cause, opened_on, currency, amount, state
  from ledger.breaks
 where subject_kind = :kind and subject_id = :id
 order by break_id desc
 limit 50
