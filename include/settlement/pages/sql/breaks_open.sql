-- One row per open break of a cause, or of all, oldest first.
select break_id, cause, side, opened_on, age_business_days, currency, amount, subject_kind, subject_id, state, owner, due_on
  from ledger.breaks
 where state in ('open', 'assigned') and (cast(:cause as text) is null or cause = :cause) and break_id > :after
 order by break_id
 limit :limit
