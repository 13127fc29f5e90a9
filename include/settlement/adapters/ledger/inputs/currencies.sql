-- One row per loan of these of which money was settled, or something was taken over: in which currency.
select distinct loan_id, currency
  from ledger.repayments
 where state = 'settled' and loan_id = any(:loans)
 union
select l.loan_id, o.currency
  from unnest(cast(:loans as text[])) as l (loan_id)
 cross join lateral (select currency from ledger.opening_positions p where p.loan_id = l.loan_id limit 1) o
