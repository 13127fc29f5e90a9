-- Put a question on record. Asked again before it is answered, it is open for its whole time again.
insert into ledger.approvals (approval_id, settlement_date, revision, payouts_sha256, payout_count, amounts,
                              requested_at, expires_at)
values (:id, :on, :revision, :sha, :count, cast(:amounts as jsonb), :now, :expires)
    on conflict (approval_id) do update
   set decision = null, decided_at = null, requested_at = excluded.requested_at, expires_at = excluded.expires_at
 where ledger.approvals.decision is null or ledger.approvals.decision = 'superseded'
