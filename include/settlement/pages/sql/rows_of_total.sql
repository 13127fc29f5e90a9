-- One row per posting that a total of a settlement date is the sum of, in the order of the entries. What revisions booked
-- counts, what people and the bank did on the date does not.
select e.entry_id, e.revision, e.event, e.repayment_id, p.account, p.currency, (p.amount * :sign)::bigint as amount,
       e.reverses_entry_id
  from ledger.entries e
  join ledger.postings p on p.entry_id = e.entry_id and p.settlement_date = :on
 where e.settlement_date = :on and p.currency = :currency and e.entry_id > :after
   and starts_with(p.account, :account)
   and e.event in ('repayment_extracted', 'repayment_distributed', 'credit_applied', 'repayment_reversed',
                   'refund_ordered')
 order by e.entry_id, p.account
 limit :limit
