-- One row per step of a payout.
select step, from_state, to_state, at, cause, evidence
  from ledger.payout_history
 where payout_id = :id
 order by step
