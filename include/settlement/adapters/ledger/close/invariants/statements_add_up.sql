-- The first statement whose opening and lines do not make its closing, or that has lost or won a line.
select 'statements ' || s.statement_id
  from ledger.statements s
  left join ledger.statement_lines l using (statement_id)
 group by s.statement_id
having s.opening + coalesce(sum(l.amount), 0) <> s.closing or count(l.line_id) <> s.line_count
 order by s.statement_id
 limit 1
