-- One row per kind of account, event and currency: what was posted under the dates of a period, until an entry.
select account, event, currency,
       coalesce(sum(amount) filter (where amount > 0), 0)::bigint as debit,
       coalesce(-sum(amount) filter (where amount < 0), 0)::bigint as credit
  from (select case when starts_with(p.account, 'tax_payable:') then p.account else split_part(p.account, ':', 1) end as account,
               e.event, p.currency, p.amount
          from ledger.postings p
          join ledger.entries e using (entry_id)
         where p.settlement_date between :first and :last and p.entry_id <= :until) j
 group by account, event, currency
 order by account, event, currency
