-- One row: a run, with the settlement date that it was about.
select run_id, settlement_date, revision
  from ledger.runs
 where run_id = :id
