-- One row: the newest settlement date that was ever opened.
select settlement_date, state, revision, run_id, opened_at, settled_at, closed_at, failure
  from ledger.days
 order by settlement_date desc
 limit 1
