-- One row per settlement date that was opened between two dates, with how many breaks it opened and how many still stand.
select d.settlement_date, d.state, d.revision, d.settled_at, d.closed_at,
       coalesce(b.count, 0) as breaks, coalesce(b.open, 0) as open_breaks
  from ledger.days d
  left join (select opened_on, count(*) as count, count(*) filter (where state in ('open', 'assigned')) as open
               from ledger.breaks
              where opened_on between :first and :last
              group by opened_on) b on b.opened_on = d.settlement_date
 where d.settlement_date between :first and :last
 order by d.settlement_date
