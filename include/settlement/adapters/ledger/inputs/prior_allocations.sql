-- Goes on from `prior`: one row per allocation.
select allocation_id, repayment_id, loan_id, receivable_id, currency, component, amount
  from prior
 order by allocation_id
