-- One row per posting of the entries that extracted and distributed these repayments, or paid back what was held of
-- them, as far as none reverses them.
select e.entry_id, e.event, e.repayment_id, p.account, p.currency, p.amount
  from ledger.entries e
  join ledger.postings p using (entry_id)
 where e.repayment_id = any(:ids)
   and e.event in ('repayment_extracted', 'repayment_distributed', 'credit_applied', 'refund_ordered', 'refund_undone')
   and not exists (select from ledger.entries r where r.reverses_entry_id = e.entry_id)
 order by e.entry_id, p.account
