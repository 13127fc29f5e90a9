-- One row per line of a statement, with what it is.
select l.line_id, l.booking_date, l.amount, l.currency, l.reference, l.end_to_end_id, l.remittance, l.state,
       (select string_agg(m.subject_kind || ' ' || m.subject_id, ', ' order by m.subject_kind, m.subject_id)
          from ledger.matches m where m.line_id = l.line_id) as matched_to
  from ledger.statement_lines l
 where l.statement_id = :id and l.line_id > :after
 order by l.line_id
 limit :limit
