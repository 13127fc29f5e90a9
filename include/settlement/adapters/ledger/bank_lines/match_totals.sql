-- One row per currency: how many lines the statements of a date have, how many of them are matched, and how many of
-- these by amount and date alone.
select l.currency,
       count(*) as line_count,
       count(*) filter (where l.state = 'matched') as matched_count,
       count(*) filter (where l.state = 'matched'
                          and exists (select
                                        from ledger.matches m
                                       where m.line_id = l.line_id and m.rule = 'amount_and_date')) as by_amount_count,
       sum(abs(l.amount))::bigint as line_amount,
       coalesce(sum(abs(l.amount)) filter (where l.state = 'matched'), 0)::bigint as matched_amount
  from ledger.statement_lines l
  join ledger.statements s using (statement_id)
 where s.business_date = :on
 group by l.currency
 order by l.currency
