-- One row per handing-over of a file, first to last, without what came back.
select number, run_id, started_at, outcome, answered_at
  from ledger.transmissions
 where file_id = :file_id
 order by number
