-- The first revision whose frozen inputs have another hash than those it was computed with.
select 'snapshots ' || r.settlement_date || '/' || r.revision
  from ledger.revisions r
  left join ledger.snapshots s using (settlement_date, revision)
 where s.input_sha256 is distinct from r.input_sha256
 order by 1
 limit 1
