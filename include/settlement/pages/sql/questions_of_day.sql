-- One row per question to a second person about a settlement date, oldest first.
select approval_id, approval_id ~ '-R[0-9]+$' as is_taking_back, revision, payouts_sha256, payout_count, amounts,
       requested_at, expires_at, decision, decided_by, decided_at, reason
  from ledger.approvals
 where settlement_date = :on
 order by requested_at, approval_id
