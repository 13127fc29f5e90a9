-- The first refund that did not take exactly its amount of held credits, or took it without being on record.
select 'refunds ' || refund_id
  from ledger.standing_refunds r
  full join (select substr(p.account, length('borrower_payable:') + 1) as refund_id, -sum(p.amount) as taken
               from ledger.standing_entries e
               join ledger.postings p using (entry_id)
              where e.event = 'refund_ordered' and p.amount < 0
              group by 1) e using (refund_id)
 where r.amount is distinct from e.taken
 order by refund_id
 limit 1
