-- One row per payee and currency to whom the ledger owes something, with the number of the attempt that a payout of it
-- would be: it grows if some payout of the payee's newest preparation is proven not to have been paid.
select owed.payee_kind, owed.payee_id, owed.currency, owed.amount, coalesce(bounced.attempt, 0) + 1 as attempt
  from (select k.payee_kind, substr(b.account, length(k.prefix) + 1) as payee_id, b.currency, -b.amount as amount
          from ledger.balances b
          join unnest(cast(:kinds as text[]), cast(:prefixes as text[])) as k (payee_kind, prefix)
            on starts_with(b.account, k.prefix)
         where b.amount < 0) owed
  left join lateral (
        select max(p.attempt) filter (where p.state = any(:proven_unpaid)) as attempt
          from ledger.payouts p
         where (p.payee_kind, p.payee_id, p.currency) = (owed.payee_kind, owed.payee_id, owed.currency)
           and (p.prepared_at, p.settlement_date) = (
               select n.prepared_at, n.settlement_date
                 from ledger.payouts n
                where (n.payee_kind, n.payee_id, n.currency) = (owed.payee_kind, owed.payee_id, owed.currency)
                order by n.prepared_at desc, n.settlement_date desc
                limit 1)
       ) bounced on true
