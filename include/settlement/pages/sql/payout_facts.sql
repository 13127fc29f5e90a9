-- One row per thing that became known of a payout and is no line.
select kind, source, amount, recorded_at, said
  from ledger.payout_facts
 where payout_id = :id
 order by recorded_at, kind, source
