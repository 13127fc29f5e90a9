-- One row per currency: what the runs of a backfill paid since they opened their days. A run that is cleared keeps its
-- id, so its steps are those after the one that it began at.
select p.currency, sum(p.amount)::bigint as amount
  from ledger.payouts p
  join ledger.runs r using (run_id)
 where r.backfill_id = :id and p.state in ('submitted', 'unknown', 'accepted', 'booked')
   and exists (select from ledger.payout_history h where h.payout_id = p.payout_id and h.step > r.step_before)
 group by p.currency
 order by p.currency
