-- One row per kind of account and currency: what it holds at the end of a date. Balances are as of now, and what was posted
-- under later dates is taken from them.
select account, currency, sum(amount)::bigint as amount
  from (select case when starts_with(b.account, 'tax_payable:') then b.account else split_part(b.account, ':', 1) end as account,
               b.currency, b.amount - coalesce(l.amount, 0) as amount
          from ledger.balances b
          left join (select account, currency, sum(amount) as amount
                       from ledger.postings
                      where settlement_date > :on
                      group by account, currency) l using (account, currency)) k
 group by account, currency
having sum(amount) <> 0
 order by account, currency
