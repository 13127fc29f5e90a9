-- One row per break that was open on a date, or was resolved on it.
select break_id::text, cause, side, subject_kind, subject_id, currency, amount, opened_on, age_business_days, state,
       owner, resolved_on, resolution
  from reporting.breaks
 where opened_on <= :on and (resolved_on is null or resolved_on >= :on)
 order by break_id
