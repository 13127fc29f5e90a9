-- One row: a settlement date as the books have it.
select settlement_date, state, revision, run_id, opened_at, settled_at, closed_at, failure
  from ledger.days
 where settlement_date = :on
