-- One row per loan of these of which money was settled, or something was taken over: in which currency. A loan is settled in
-- one, so that its first row says it.
select l.loan_id, coalesce(s.currency, o.currency) as currency
  from unnest(cast(:loans as text[])) as l (loan_id)
  left join lateral (select currency
                       from ledger.repayments r
                      where r.loan_id = l.loan_id and r.state = 'settled'
                      limit 1) s on true
  left join lateral (select currency from ledger.opening_positions p where p.loan_id = l.loan_id limit 1) o on true
 where coalesce(s.currency, o.currency) is not null
