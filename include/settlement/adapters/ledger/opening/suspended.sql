-- One row per currency of which something was taken over unexplained, less what people wrote off of it since.
select o.currency, (o.amount - coalesce(cleared.amount, 0))::bigint as amount
  from ledger.opening_positions o
  left join (select p.currency, sum(p.amount) as amount
               from ledger.entries e
               join ledger.postings p using (entry_id)
              where e.repayment_id = 'opening-suspense' and p.account = 'suspense'
              group by p.currency) cleared using (currency)
 where o.kind = 'suspense' and o.amount <> coalesce(cleared.amount, 0)
 order by o.currency
