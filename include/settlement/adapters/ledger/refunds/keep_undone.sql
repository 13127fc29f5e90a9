-- Keep what was undone of a refund, with who did it and why: the entries that are not kept so far.
insert into ledger.refunds_undone (entry_id, settlement_date, refund_id, loan_id, repayment_id, currency, amount, reason,
                                   undone_by, undone_at, is_again)
select e.entry_id, :after, :refund, :loan, e.repayment_id, e.currency, p.amount, :reason, :by, :now, :is_again
  from ledger.entries e
  join ledger.postings p using (entry_id)
 where e.event = 'refund_undone' and p.account = :account and p.amount > 0
   and not exists (select from ledger.refunds_undone u where u.entry_id = e.entry_id)
