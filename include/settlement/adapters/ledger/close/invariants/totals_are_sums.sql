-- The first totals of a day, revision and currency that are not the sums of its shares.
select 'day_totals ' || settlement_date || '/' || revision || '/' || currency
  from ledger.day_totals t
  full join (select settlement_date, revision, currency, sum(net_amount) as net, sum(fee_amount) as fee,
                    sum(vat_amount) as vat, sum(national_tax_amount) as national, sum(local_tax_amount) as local
               from reporting.shares_all_revisions
              group by 1, 2, 3) s using (settlement_date, revision, currency)
 where (t.distributed_amount, t.fee_amount, t.vat_amount, t.national_tax_amount, t.local_tax_amount)
       is distinct from
       (coalesce(net, 0), coalesce(fee, 0), coalesce(vat, 0), coalesce(national, 0), coalesce(local, 0))
 order by 1
 limit 1
