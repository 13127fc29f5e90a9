-- The first day that is not at its newest revision, or is closed without a certificate of it, or the other way round.
select 'days ' || d.settlement_date
  from ledger.days d
  left join lateral (select max(revision) as newest
                       from ledger.revisions r
                      where r.settlement_date = d.settlement_date) r on true
 where d.revision <> coalesce(r.newest, 0)
    or (d.state = 'closed') <> exists (
         select from ledger.certificates c where c.settlement_date = d.settlement_date and c.revision = d.revision)
 order by d.settlement_date
 limit 1
