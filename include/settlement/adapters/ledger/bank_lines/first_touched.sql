-- One row per item: the entry that touched it first.
select subject_id, min(entry_id) as entry_id
  from (select repayment_id as subject_id, entry_id from ledger.entries where repayment_id = any(:ids)
        union all
        select payout_id, entry_id from ledger.entries where payout_id = any(:ids)) touching
 group by subject_id
