-- One row per question of the newest sixty settlement dates that was answered, newest first.
select a.approval_id, a.approval_id ~ '-R[0-9]+$' as is_taking_back, a.settlement_date, a.payouts_sha256, a.payout_count,
       a.amounts, a.decision, a.decided_by, a.decided_at, a.reason
  from (select settlement_date from ledger.days order by settlement_date desc limit 60) d
  join ledger.approvals a using (settlement_date)
 where a.decision is not null and a.decision <> 'superseded'
 order by a.decided_at desc, a.approval_id
 limit 50
