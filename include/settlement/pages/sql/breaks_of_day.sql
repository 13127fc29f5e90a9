-- One row per break that was opened on a settlement date.
select break_id, cause, side, currency, amount, subject_kind, subject_id, state, owner, age_business_days, resolved_on
  from ledger.breaks
 where opened_on = :on
 order by break_id
 limit 200
