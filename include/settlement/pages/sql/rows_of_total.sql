-- One row per posting that a total of a settlement date is the sum of, in the order of the entries (see sum_of_total.sql).
with found as materialized (
  (select entry_id, account, currency, amount
     from ledger.postings
    where settlement_date = :on and part >= 1 and currency = :currency and starts_with(account, :account)
      and (entry_id, account) > (:after, :after_account)
    order by entry_id, account
    limit :limit)
   union all
  (select p.entry_id, p.account, p.currency, p.amount
     from ledger.postings p
     join ledger.entries e on e.entry_id = p.entry_id and e.settlement_date = :on
    where p.settlement_date = :on and p.part = 0 and p.currency = :currency and starts_with(p.account, :account)
      and (p.entry_id, p.account) > (:after, :after_account)
      and e.event = 'repayment_extracted' and :account in ('receipts_in_transit', 'repayments_unallocated')
    order by p.entry_id, p.account
    limit :limit)
)
select p.entry_id, e.revision, e.event, e.repayment_id, p.account, p.currency, (p.amount * :sign)::bigint as amount,
       e.reverses_entry_id
  from (select * from found order by entry_id, account limit :limit) p
  join ledger.entries e using (entry_id)
 order by p.entry_id, p.account
