-- One row per settlement date, event and currency: by how much the event has moved an account until a date.
select e.settlement_date, e.event, p.currency, sum(p.amount)::bigint as amount
  from ledger.postings p
  join ledger.entries e using (entry_id)
 where p.account = :account and e.settlement_date <= :until
 group by e.settlement_date, e.event, p.currency
 order by e.settlement_date, e.event, p.currency
