-- One row per posting of the entries that extracted and distributed these repayments before the day, or paid back what was
-- held of them, as far as none reversed them before it.
select e.entry_id, e.event, e.repayment_id, p.account, p.currency, p.amount
  from ledger.standing_entries e
  join ledger.postings p using (entry_id, settlement_date)  -- so that only the leaves of their dates are looked into
 where e.repayment_id = any(:ids)
   and e.event in ('repayment_extracted', 'repayment_distributed', 'credit_applied', 'refund_ordered', 'refund_undone')
   and case when e.event = 'refund_undone'
            then exists (select from ledger.refunds_undone u where u.entry_id = e.entry_id and u.settlement_date < :on)
            else e.settlement_date < :on
       end
   and not exists (select
                     from ledger.standing_entries r
                    where r.reverses_entry_id = e.entry_id and r.settlement_date < :on)
 order by e.entry_id, p.account
