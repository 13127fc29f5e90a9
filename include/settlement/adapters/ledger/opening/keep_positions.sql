-- Let notes and receivables stand where the opening has them: the newest position before every settlement date.
insert into ledger.positions (loan_id, settlement_date, note_ids, repaid, receivable_ids, allocated)
select loan_id, :on,
       coalesce(array_agg(subject_id order by subject_id) filter (where kind = 'note_principal_repaid'), '{}'),
       coalesce(array_agg(amount order by subject_id) filter (where kind = 'note_principal_repaid'), '{}'),
       coalesce(array_agg(subject_id order by subject_id) filter (where kind = 'receivable_paid'), '{}'),
       coalesce(array_agg(amount order by subject_id) filter (where kind = 'receivable_paid'), '{}')
  from ledger.opening_positions
 where kind in ('note_principal_repaid', 'receivable_paid')
 group by loan_id
