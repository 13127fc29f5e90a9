-- One row per question that waits for a second person in Airflow, oldest first.
select a.approval_id, a.approval_id ~ '-R[0-9]+$' as is_taking_back, a.settlement_date, a.revision, a.payouts_sha256,
       a.payout_count, a.amounts, a.requested_at, a.expires_at, d.run_id
  from ledger.approvals a
  join ledger.days d using (settlement_date)
 where a.decision is null
 order by a.requested_at
