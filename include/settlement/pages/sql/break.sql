-- One row: a break.
select break_id, cause, side, opened_on, age_business_days, currency, amount, subject_kind, subject_id, evidence, state, owner,
       comment, due_on, resolved_on, resolution
  from ledger.breaks
 where break_id = :id
