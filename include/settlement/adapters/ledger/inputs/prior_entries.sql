-- One row per posting of the entries that extracted and distributed these repayments before the day, or paid back what was
-- held of them, as far as none reversed them before it. A receipt that was taken over was extracted by the opening, and
-- what undoes it takes its money out of what is in transit, where the bank takes it back.
select e.entry_id, case e.event when 'opening_position' then 'repayment_extracted' else e.event end as event, e.repayment_id,
       case when e.event = 'opening_position' and p.account = 'opening_balance' then 'receipts_in_transit' else p.account
       end as account, p.currency, p.amount
  from ledger.standing_entries e
  join ledger.postings p using (entry_id, settlement_date)  -- so that only the leaves of their dates are looked into
 where e.repayment_id = any(:ids)
   and e.event in ('opening_position', 'repayment_extracted', 'repayment_distributed', 'credit_applied', 'refund_ordered', 'refund_undone')
   and case when e.event = 'refund_undone'
            then exists (select from ledger.refunds_undone u where u.entry_id = e.entry_id and u.settlement_date < :on)
            else e.settlement_date < :on
       end
   and not exists (select
                     from ledger.standing_entries r
                    where r.reverses_entry_id = e.entry_id and r.settlement_date < :on)
 order by e.entry_id, p.account
