-- One row: how many days of a backfill failed, changed what was computed before, and are otherwise ok.
select count(*) filter (where is_failed) as failed,
       count(*) filter (where not is_failed and is_changed) as changed,
       count(*) filter (where not is_failed and not is_changed) as ok
  from (select outcome is null or starts_with(outcome, 'failed') as is_failed,
               revision > 1 and outcome <> 'already_settled' as is_changed
          from ledger.runs
         where backfill_id = :id) run
