-- One row per run of a settlement date, oldest first.
select run_id, revision, run_type, triggered_by, reason, started_at, ended_at, outcome
  from ledger.runs
 where settlement_date = :on
 order by started_at, run_id
