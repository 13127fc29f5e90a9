-- One row per thing that a person decided about a break, or asked for.
select kind, target, amount, currency, reason, requested_by, requested_at, needs_second, decided_by, decided_at, withdrawn_at
  from ledger.break_decisions
 where break_id = :id
 order by decision_id
