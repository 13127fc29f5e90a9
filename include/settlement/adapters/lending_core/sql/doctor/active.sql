-- The loans, :most of them, that were due or paid since :since.
with active as materialized (
  select l.loan_id, l.currency, l.disbursed_on
    from core.loans l
   where exists (select from core.receivables r where r.loan_id = l.loan_id and r.due_on >= :since)
      or exists (select from core.repayments p where p.loan_id = l.loan_id and p.received_at >= :since)
   limit :most
)
