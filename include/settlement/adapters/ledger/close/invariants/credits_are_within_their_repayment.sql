-- The first repayment of which less than nothing is held as a credit, or more than came.
select 'credits ' || c.loan_id || '/' || c.repayment_id
  from ledger.credit_changes c
  left join ledger.repayments r using (repayment_id)
 group by c.loan_id, c.repayment_id, c.currency, r.amount
having sum(c.amount) < 0 or sum(c.amount) > coalesce(r.amount, 0)
 order by 1
 limit 1
