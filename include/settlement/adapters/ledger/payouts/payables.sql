-- One row per investor and currency to whom the ledger owes something, with the number of the attempt that a payout of
-- it would be: it grows if some payout of the investor's newest preparation is proven not to have been paid.
select owed.investor_id, owed.currency, owed.amount, coalesce(bounced.attempt, 0) + 1 as attempt
  from (select substr(account, length(:prefix) + 1) as investor_id, currency, -amount as amount
          from ledger.balances
         where starts_with(account, :prefix) and amount < 0) owed
  left join lateral (
        select max(p.attempt) filter (where p.state = any(:proven_unpaid)) as attempt
          from ledger.payouts p
         where p.investor_id = owed.investor_id and p.currency = owed.currency
           and (p.prepared_at, p.settlement_date) = (
               select n.prepared_at, n.settlement_date
                 from ledger.payouts n
                where n.investor_id = owed.investor_id and n.currency = owed.currency
                order by n.prepared_at desc, n.settlement_date desc
                limit 1)
       ) bounced on true
