-- One row: a run, with the backfill that it belongs to by our own number.
select run_id, settlement_date, revision, run_type, backfill_id::text, triggered_by, reason, started_at, ended_at, outcome
  from ledger.runs
 where run_id = :id
