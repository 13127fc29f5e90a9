-- One row per handing-over of a payment file.
select number, started_at, outcome, answered_at, status_code, reason, said, run_id
  from ledger.transmissions
 where file_id = :id
 order by number
