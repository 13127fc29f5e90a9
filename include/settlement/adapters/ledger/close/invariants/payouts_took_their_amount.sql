-- The first payout whose preparation did not take exactly its amount.
select 'payouts ' || p.payout_id
  from ledger.payouts p
  left join (select e.payout_id, sum(x.amount) as taken
               from ledger.entries e
               join ledger.postings x using (entry_id)
              where e.event = 'payout_prepared' and x.amount > 0
              group by 1) e using (payout_id)
 where taken is distinct from p.amount
 order by p.payout_id
 limit 1
