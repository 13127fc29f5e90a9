-- One row per investor and currency that a revision of a date changed, by their ids: of the loans that it ran again, the shares
-- that stood until then beside those that it wrote. Gross, fees (with VAT) and taxes are changes; before and after are net.
select x.investor_id, x.currency,
       sum(x.gross_amount * s.sign)::bigint as gross, sum((x.fee_amount + x.vat_amount) * s.sign)::bigint as fees,
       sum((x.national_tax_amount + x.local_tax_amount) * s.sign)::bigint as taxes,
       coalesce(sum(x.net_amount) filter (where s.sign < 0), 0)::bigint as before,
       coalesce(sum(x.net_amount) filter (where s.sign > 0), 0)::bigint as after,
       sum(x.net_amount * s.sign)::bigint as difference
  from ledger.replayed_loans n
  join ledger.shares x on x.settlement_date = :on and x.loan_id = n.loan_id and x.revision <= :revision
  cross join lateral (select case when x.revision = :revision then 1 else -1 end as sign) s
 where n.settlement_date = :on and n.revision = :revision and (x.investor_id, x.currency) > (:after, :currency)
   and not exists (select from ledger.replayed_loans m
                    where m.settlement_date = :on and m.loan_id = n.loan_id and m.revision > x.revision
                      and m.revision < :revision)
 group by x.investor_id, x.currency
having (sum(x.gross_amount * s.sign), sum((x.fee_amount + x.vat_amount) * s.sign),
        sum((x.national_tax_amount + x.local_tax_amount) * s.sign), sum(x.net_amount * s.sign)) <> (0, 0, 0, 0)
 order by x.investor_id, x.currency
 limit :limit
