-- One row per date, loan and investor for whom the given revisions changed what they earned there, net.
with revised as (
  select * from unnest(cast(:dates as date[]), cast(:revisions as integer[])) as t (settlement_date, revision)
),
replayed as (
  select n.settlement_date, n.loan_id, n.revision
    from ledger.replayed_loans n
    join revised using (settlement_date, revision)
),
netted as (
  select x.settlement_date, x.loan_id, x.investor_id, x.currency, x.net_amount, x.revision = p.revision as is_new
    from replayed p
    join ledger.shares x using (settlement_date, loan_id)
   where x.revision <= p.revision
     and not exists (select from ledger.replayed_loans n
                      where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision
                        and n.revision < p.revision)
)
select settlement_date, loan_id, investor_id, currency,
       coalesce(sum(net_amount) filter (where not is_new), 0)::bigint as before,
       coalesce(sum(net_amount) filter (where is_new), 0)::bigint as after
  from netted
 group by settlement_date, loan_id, investor_id, currency
having coalesce(sum(net_amount) filter (where not is_new), 0) <> coalesce(sum(net_amount) filter (where is_new), 0)
 order by settlement_date, loan_id collate "C", investor_id
