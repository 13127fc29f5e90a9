-- The opening whose positions are not those that it was hashed with, or the first account on which the opening booked
-- something else than they say.
with said as (
  select case kind when 'borrower_credit' then 'borrower_credit:' || subject_id
                   when 'investor_payable' then 'investor_payable:' || subject_id
                   when 'repayment_unallocated' then 'repayments_unallocated'
                   when 'receipt_in_transit' then 'receipts_in_transit'
                   when 'payout_in_transit' then 'payouts_in_transit'
                   else kind
         end as account, currency, case kind when 'receipt_in_transit' then amount else -amount end as amount
    from ledger.opening_positions
   where kind not in ('note_principal_repaid', 'receivable_paid')
),
booked as (
  select p.account, p.currency, sum(p.amount) as amount
    from ledger.entries e
    join ledger.postings p using (entry_id)
   where e.event = 'opening_position' and p.account <> 'opening_balance'
   group by p.account, p.currency
)
select what
  from (select 'opening ' || first_date as what
          from ledger.opening
         where sha256 <> (select encode(sha256(convert_to(string_agg(concat_ws(E'\x1f', kind, subject_id, currency, amount),
                                                                     E'\n' order by kind, subject_id, currency), 'UTF8')),
                                        'hex')
                            from ledger.opening_positions)
         union all
        select 'opening_positions ' || account || ' ' || currency
          from (select account, currency, sum(amount) as amount from said group by account, currency) s
          full join booked b using (account, currency)
         where s.amount is distinct from b.amount
         union all
        select 'opening_positions of no opening'
         where exists (select from ledger.opening_positions) and not exists (select from ledger.opening)) wrong
 order by what
 limit 1
