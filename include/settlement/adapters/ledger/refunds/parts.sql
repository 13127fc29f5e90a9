-- One row per repayment of whose held credit a refund took a part that was neither reversed nor undone since.
select e.repayment_id, -sum(p.amount)::bigint as amount
  from ledger.standing_entries e
  join ledger.postings p using (entry_id)
 where p.account = :account and e.event in ('refund_ordered', 'refund_undone')
   and not exists (select from ledger.standing_entries r where r.reverses_entry_id = e.entry_id)
 group by e.repayment_id
having sum(p.amount) <> 0
 order by min(e.entry_id)
