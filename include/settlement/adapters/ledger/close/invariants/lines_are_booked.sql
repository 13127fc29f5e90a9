-- The first line that client_bank does not follow with its amount; an open line is not booked at all.
select 'statement_lines ' || l.line_id
  from ledger.statement_lines l
  left join (select e.line_id, sum(p.amount) as booked
               from ledger.entries e
               join ledger.postings p using (entry_id)
              where p.account = 'client_bank'
              group by 1) b using (line_id)
 where b.booked is distinct from case when l.state <> 'open' then l.amount end
 order by l.line_id
 limit 1
