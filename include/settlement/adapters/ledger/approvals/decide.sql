-- Keep who answered what, and when; an answer is given once.
update ledger.approvals
   set decision = :decision, decided_by = :by, reason = :reason, decided_at = :now
 where approval_id = :id and decision is null
