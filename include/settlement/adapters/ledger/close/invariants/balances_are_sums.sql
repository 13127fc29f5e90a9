-- The first balance that is not the sum of the postings on its account.
select 'balances ' || account || ' ' || currency
  from (select account, currency, sum(amount) as amount from ledger.postings group by 1, 2) p
  full join ledger.balances b using (account, currency)
 where coalesce(p.amount, 0) <> coalesce(b.amount, 0)
 order by account, currency
 limit 1
