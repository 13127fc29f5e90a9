-- The first loan on whose account not exactly that stands which came to be held less what left it.
with held as (
  select loan_id, currency, amount from ledger.standing_credits
  union all
  select loan_id, currency, amount from ledger.standing_refunds_undone
  union all
  select loan_id, currency, amount from ledger.opening_positions where kind = 'borrower_credit'
)
select 'credits ' || loan_id || ' ' || currency
  from (select loan_id, currency, sum(amount) as amount from held group by 1, 2) h
  full join (select substr(account, length('borrower_credit:') + 1) as loan_id, currency, -amount as amount
               from ledger.balances
              where starts_with(account, 'borrower_credit:')) b using (loan_id, currency)
 where coalesce(h.amount, 0) <> coalesce(b.amount, 0)
 order by loan_id, currency
 limit 1
