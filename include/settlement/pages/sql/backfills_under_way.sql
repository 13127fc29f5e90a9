-- One row per backfill that has not ended, with how many of its runs have.
select b.backfill_id, b.started_at, count(r.run_id) as runs, count(r.ended_at) as ended,
       min(r.settlement_date) as first_date, max(r.settlement_date) as last_date
  from ledger.backfills b
  left join ledger.runs r using (backfill_id)
 where b.ended_at is null
 group by b.backfill_id, b.started_at
