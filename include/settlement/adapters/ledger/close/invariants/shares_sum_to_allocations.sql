-- The first allocation that its shares do not sum to; a cost is shared with nobody.
select 'shares ' || settlement_date || '/' || revision || '/' || position
  from (select settlement_date, revision, position, sum(gross_amount) as shared
          from ledger.shares
         group by 1, 2, 3) s
  full join ledger.allocations a using (settlement_date, revision, position)
 where coalesce(shared, 0) <> case when component = 'cost' then 0 else coalesce(amount, 0) end
 order by settlement_date, revision, position
 limit 1
