-- One row per investor and currency: the account over a period, what is owed as positive amounts. Balances are as of now, and
-- what was posted under later dates is taken from them. What was taken over within the period was owed before it.
with moved as (
  select p.account, p.currency, -p.amount as amount, e.event, p.settlement_date > :last as is_later
    from ledger.postings p
    join ledger.entries e using (entry_id)
   where starts_with(p.account, :prefix) and p.settlement_date >= :first
),
sums as (
  select account, currency,
         coalesce(sum(amount) filter (where is_later), 0) as later,
         coalesce(sum(amount) filter (where not is_later and event = any(:earned)), 0) as earned,
         coalesce(-sum(amount) filter (where not is_later and event = any(:paid)), 0) as paid,
         coalesce(sum(amount) filter (where not is_later and event <> 'opening_position'
                                        and event <> all(:earned) and event <> all(:paid)), 0) as corrected
    from moved
   group by account, currency
),
whole as (
  select substr(b.account, length(:prefix) + 1) as investor_id, b.currency, coalesce(s.earned, 0) as earned,
         coalesce(s.paid, 0) as paid, coalesce(s.corrected, 0) as corrected, -b.amount - coalesce(s.later, 0) as closing
    from ledger.balances b
    left join sums s using (account, currency)
   where starts_with(b.account, :prefix)
)
select investor_id, currency, (closing - earned + paid - corrected)::bigint as opening_amount, earned::bigint as earned_amount,
       paid::bigint as paid_amount, corrected::bigint as corrected_amount, closing::bigint as closing_amount
  from whole
 where (closing, earned, paid, corrected) <> (0, 0, 0, 0)
 order by investor_id collate "C", currency
