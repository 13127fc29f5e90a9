-- One row per month, currency and kind: what was kept back, and what was handed on for it by lines.
select s.month, s.currency, s.kind, s.amount, coalesce(r.amount, 0)::bigint as remitted_amount
  from ledger.month_sums s
  left join (select month, currency, kind, sum(amount) as amount
               from ledger.remittances
              group by month, currency, kind) r using (month, currency, kind)
 order by s.month, s.currency, s.kind
