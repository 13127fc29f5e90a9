-- One row per currency: the receipts of the loans $2 (joined by the unit separator) that came before the instant $1 and
-- were not undone: how many, of how many loans, and their sum.
select l.currency, count(*) as receipts, count(distinct r.loan_id) as loans, sum(r.amount)::bigint as amount
  from core.repayments r join core.loans l using (loan_id)
 where r.received_at < $1::timestamptz and r.loan_id = any(string_to_array($2, E'\x1f'))
   and r.reverses_repayment_id is null
   and not exists (select from core.repayments undone where undone.reverses_repayment_id = r.repayment_id)
 group by l.currency
 order by l.currency
