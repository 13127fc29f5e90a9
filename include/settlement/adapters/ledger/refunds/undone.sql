-- One row per refund of these loans of which people returned something after a date: how much, and the entries that stand.
select u.refund_id, u.loan_id, u.currency, sum(u.amount) filter (where not u.is_again)::bigint as amount,
       (array_agg(u.reason order by u.entry_id desc))[1] as reason, (array_agg(u.undone_by order by u.entry_id desc))[1] as by,
       array_agg(u.entry_id order by u.entry_id) filter (where s.entry_id is not null) as entry_ids,
       array_agg(u.repayment_id order by u.entry_id) filter (where s.entry_id is not null) as repayment_ids,
       array_agg(u.amount order by u.entry_id) filter (where s.entry_id is not null) as amounts
  from ledger.refunds_undone u
  left join ledger.standing_refunds_undone s using (entry_id)
 where u.settlement_date = :on and u.loan_id = any(:loans)
 group by u.refund_id, u.loan_id, u.currency
 order by min(u.entry_id)
