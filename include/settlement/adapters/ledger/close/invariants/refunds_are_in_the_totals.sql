-- The first totals of a day, revision and currency that are not what it posted for refunds and for what undid them.
select 'day_totals ' || settlement_date || '/' || revision || '/' || currency
  from ledger.day_totals t
  full join (select r.settlement_date, r.revision, p.currency, -sum(p.amount) as refunded
               from ledger.entries e
               join ledger.postings p using (entry_id)
               join ledger.revisions r on r.settlement_date = p.settlement_date and r.revision >= p.part
              where e.event in ('refund_ordered', 'repayment_reversed') and starts_with(p.account, 'borrower_payable:')
              group by 1, 2, 3) e using (settlement_date, revision, currency)
 where t.refunded_amount is distinct from coalesce(e.refunded, 0)
 order by 1
 limit 1
