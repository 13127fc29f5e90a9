-- One row per break that has ended, newest first.
select break_id, cause, side, opened_on, age_business_days, currency, amount, subject_kind, subject_id, state, owner, due_on,
       resolved_on, resolution
  from ledger.breaks
 where state in ('resolved', 'written_off') and (cast(:cause as text) is null or cause = :cause)
   and (cast(:after as bigint) = 0 or break_id < :after)
 order by break_id desc
 limit :limit
