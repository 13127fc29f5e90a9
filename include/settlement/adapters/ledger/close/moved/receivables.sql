-- One row per receivable that anything was allocated to, with what the opening says was paid on it before. It is read by
-- COPY.
select receivable_id, (sum(x.amount) + coalesce(max(o.amount), 0))::bigint
  from ledger.standing_allocations x
  left join ledger.opening_positions o on o.kind = 'receivable_paid' and o.subject_id = x.receivable_id
 group by receivable_id
 order by receivable_id
