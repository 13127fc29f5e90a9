-- One row per line of a statement that shows a thing.
select l.line_id, l.statement_id, l.booking_date, l.currency, l.amount, l.reference, l.remittance, m.subject_kind, m.rule,
       m.explanation, m.matched_by, m.matched_at
  from ledger.matches m
  join ledger.statement_lines l using (line_id)
 where m.subject_kind = any(:kinds) and m.subject_id = :id
 order by l.booking_date, l.line_id
