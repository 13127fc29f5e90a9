-- One row per revision of a settlement date, in their order: why it was made, and who asked.
select r.revision, coalesce(r.reason, u.reason) as reason, coalesce(r.requested_by, u.triggered_by) as requested_by,
       r.computed_at
  from ledger.revisions r
  left join ledger.runs u using (run_id)
 where r.settlement_date = :on
 order by r.revision
