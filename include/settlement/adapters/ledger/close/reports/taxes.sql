-- One row per tax class, currency and component of a day. A share that a reversal takes back may be of an investor whom
-- the day's inputs do not name any more.
select coalesce(c.tax_class, 'of earlier days') as tax_class, s.currency, s.component,
       sum(s.gross_amount)::bigint as gross_amount,
       sum(s.national_tax_amount)::bigint as national_tax_amount,
       sum(s.local_tax_amount)::bigint as local_tax_amount
  from reporting.shares s
  left join unnest(cast(:ids as text[]), cast(:classes as text[])) as c (investor_id, tax_class)
       on c.investor_id = s.investor_id
 where s.settlement_date = :on and s.component in ('interest', 'late_interest')
 group by 1, 2, 3
 order by 1, 2, 3
