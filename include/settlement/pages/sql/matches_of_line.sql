-- One row per thing that a line is matched with.
select subject_kind, subject_id, amount, difference, rule, explanation, matched_by, matched_at
  from ledger.matches
 where line_id = :id
 order by subject_kind, subject_id
