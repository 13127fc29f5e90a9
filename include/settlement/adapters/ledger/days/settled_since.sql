-- One row per date that was settled, restated or closed since [:since], as it stands now: with the hash of what came out.
select d.settlement_date, d.revision, d.state, r.output_sha256 as sha256, d.run_id
  from ledger.days d
  join ledger.revisions r using (settlement_date, revision)
 where d.state in ('settled', 'settled_with_breaks', 'closed')
   and d.settlement_date in (
       select settlement_date from ledger.revisions where computed_at >= :since
        union all
       select settlement_date from ledger.certificates where issued_at >= :since
        union all
       select settlement_date from ledger.runs
        where ended_at >= :since and outcome in ('settled', 'settled_with_breaks', 'closed'))
 order by d.settlement_date
