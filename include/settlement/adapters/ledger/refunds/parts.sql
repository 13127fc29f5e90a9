-- One row per repayment of whose held credit a refund took a part by the end of a date that was neither reversed by then nor
-- returned before, in the order in which the credits were taken.
select e.repayment_id, -sum(p.amount)::bigint as amount
  from ledger.standing_entries e
  join ledger.postings p using (entry_id)
 where p.account = :account
   and (e.event = 'refund_ordered' and e.settlement_date <= :on
        or e.event = 'refund_undone'
           and exists (select from ledger.refunds_undone u where u.entry_id = e.entry_id and u.settlement_date < :on))
   and not exists (select from ledger.standing_entries r
                    where r.reverses_entry_id = e.entry_id and r.settlement_date <= :on)
 group by e.repayment_id
having sum(p.amount) <> 0
 order by min(e.entry_id)
