-- One row per decision about a break that waits for a second person.
select d.break_id, d.kind, d.target, d.amount, d.currency, d.reason, d.requested_by, d.requested_at, b.cause
  from ledger.break_decisions d
  join ledger.breaks b using (break_id)
 where d.decided_at is null and d.withdrawn_at is null
 order by d.requested_at
