-- One row: how many postings a total of a settlement date is made of, and their sum.
select count(*) as count, coalesce(sum(p.amount * :sign), 0)::bigint as amount
  from ledger.entries e
  join ledger.postings p on p.entry_id = e.entry_id and p.settlement_date = :on
 where e.settlement_date = :on and p.currency = :currency
   and starts_with(p.account, :account)
   and e.event in ('repayment_extracted', 'repayment_distributed', 'credit_applied', 'repayment_reversed',
                   'refund_ordered')
