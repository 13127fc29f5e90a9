-- One row per break that was opened by the end of a date and not over by then.
select break_id, cause, subject_kind, subject_id, currency, amount, opened_on
  from ledger.breaks
 where opened_on <= :on and (resolved_on is null or resolved_on > :on)
 order by opened_on, break_id
