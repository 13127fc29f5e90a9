-- One row per opening position other than 0, with what the source says of the subject that it names; $1 is the instant at
-- which the first window opens.
select row_number() over (order by o.kind, o.subject_id, o.currency, o.amount) as row, coalesce(o.kind, '') as kind,
       coalesce(o.subject_id, '') as subject_id, coalesce(o.currency, '') as currency, coalesce(o.amount, 0) as amount,
       l.loan_id, l.currency as loan_currency,
       coalesce(n.note_id, r.receivable_id, p.repayment_id, i.investor_id, l.loan_id) is not null as is_known,
       coalesce(n.principal, r.amount, p.amount, 0) as most, p.received_at,
       p.reverses_repayment_id is not null
         or exists (select
                      from core.repayments u
                     where o.kind = 'repayment_unallocated' and u.reverses_repayment_id = o.subject_id
                       and u.received_at < $1::timestamptz) as is_undone,
       exists (select
                 from core.repayments c
                where o.kind = 'borrower_credit' and c.repayment_id = 'opening:' || o.subject_id) as is_named_so
  from core.opening_positions o
  left join core.notes n on o.kind = 'note_principal_repaid' and n.note_id = o.subject_id
  left join core.receivables r on o.kind = 'receivable_paid' and r.receivable_id = o.subject_id
  left join core.repayments p on o.kind = 'repayment_unallocated' and p.repayment_id = o.subject_id
  left join core.investors i on o.kind = 'investor_payable' and i.investor_id = o.subject_id
  left join core.loans l
    on l.loan_id = coalesce(n.loan_id, r.loan_id, p.loan_id, case o.kind when 'borrower_credit' then o.subject_id end)
 where o.amount is distinct from 0
 order by row
