-- The first line that is matched without a match, with a match of another amount, or not matched although it has one.
select 'statement_lines ' || l.line_id
  from ledger.statement_lines l
  left join (select line_id, sum(amount) as matched from ledger.matches group by 1) m using (line_id)
 where case when l.state = 'matched' then m.matched is distinct from l.amount else m.matched is not null end
 order by l.line_id
 limit 1
