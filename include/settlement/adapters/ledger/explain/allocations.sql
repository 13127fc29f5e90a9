-- One row per allocation of a date of which an investor has a share, as the books stand, with the repayment it comes from.
select a.revision, a.position, a.repayment_id, a.loan_id, a.receivable_id, a.currency, a.component, a.amount,
       r.amount as repayment_amount, r.window_on, r.reverses_repayment_id
  from ledger.standing_allocations a
  join ledger.repayments r using (repayment_id)
 where a.settlement_date = :on
   and (a.revision, a.position) in (select s.revision, s.position from ledger.standing_shares s
                                     where s.settlement_date = :on and s.investor_id = :investor)
 order by a.position, a.repayment_id, a.receivable_id
