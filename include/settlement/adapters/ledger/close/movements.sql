-- One row per currency and side: what the bank, client_bank, the investors and the borrowers with a refund had before, what
-- came, what went, what they have. Balances are as of now, and what has moved since is taken from them.
with lines as (
  select l.line_id, s.currency, l.amount, s.business_date <= :on as is_of_day
    from ledger.statements s
    join ledger.statement_lines l using (statement_id)
   where s.business_date > :before
),
of_ledger as (
  select l.currency, p.amount, l.is_of_day
    from lines l
    join ledger.entries e using (line_id)
    join ledger.postings p using (entry_id)
   where p.account = 'client_bank' and p.settlement_date >= :first
),
payees (side, prefix) as (values ('investors', 'investor_payable:'), ('borrowers', 'borrower_payable:')),
of_payees as (
  select side, currency, -amount as amount, settlement_date <= :on as is_of_day
    from ledger.postings
    join payees on starts_with(account, prefix)
   where settlement_date > :before
),
moved as (
  (select distinct on (currency) 'bank' as side, currency, opening as amount, false as is_of_day
     from ledger.statements s
    order by currency, business_date,
             opening in (select o.closing from ledger.statements o
                          where o.currency = s.currency and o.business_date = s.business_date),
             sequence nulls first, page nulls first, position)
  union all
  select 'bank', currency, closing - opening, false from ledger.statements where business_date <= :before
  union all
  select 'bank', currency, amount, true from lines where is_of_day
  union all
  select 'ledger', currency, amount, false from ledger.balances where account = 'client_bank'
  union all
  select 'ledger', currency, -amount, false from of_ledger
  union all
  select 'ledger', currency, amount, true from of_ledger where is_of_day
  union all
  select side, currency, -amount, false from ledger.balances join payees on starts_with(account, prefix)
  union all
  select side, currency, -amount, false from of_payees
  union all
  select side, currency, amount, true from of_payees where is_of_day
)
select side, currency,
       coalesce(sum(amount) filter (where not is_of_day), 0)::bigint as opening,
       coalesce(sum(amount) filter (where is_of_day and amount > 0), 0)::bigint as came,
       coalesce(-sum(amount) filter (where is_of_day and amount < 0), 0)::bigint as went,
       sum(amount)::bigint as closing
  from moved
 group by side, currency
 order by side, currency
