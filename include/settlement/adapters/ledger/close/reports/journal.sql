-- One row per event, kind of account and currency: what a settlement date posted, investors and borrowers together.
select event, account, currency,
       sum(amount) filter (where amount > 0)::bigint as debit,
       -sum(amount) filter (where amount < 0)::bigint as credit
  from (select event,
               case when account like 'investor_payable:%' then 'investor_payable'
                    when account like 'borrower_credit:%' then 'borrower_credit'
                    when account like 'borrower_payable:%' then 'borrower_payable'
                    else account
                end as account,
               currency, amount
          from reporting.journal
         where settlement_date = :on) j
 group by 1, 2, 3
 order by 1, 2, 3
