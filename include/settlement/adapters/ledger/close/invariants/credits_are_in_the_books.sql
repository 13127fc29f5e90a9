-- The first loan on whose account not exactly that stands which came to be held less what left it.
select 'credits ' || loan_id || ' ' || currency
  from (select loan_id, currency, sum(amount) as held from ledger.credit_changes group by 1, 2) c
  full join (select substr(account, length('borrower_credit:') + 1) as loan_id, currency, -amount as held
               from ledger.balances
              where starts_with(account, 'borrower_credit:')) b using (loan_id, currency)
 where coalesce(c.held, 0) <> coalesce(b.held, 0)
 order by loan_id, currency
 limit 1
