-- One row per receipt that a line of a statement before a date is matched with.
select distinct m.subject_id
  from ledger.statements s
  join ledger.statement_lines l on l.statement_id = s.statement_id
  join ledger.matches m on m.line_id = l.line_id
 where s.business_date < :on and m.subject_kind = :kind
 order by m.subject_id
