-- Keep what became known of payouts, once for each source.
insert into ledger.payout_facts (payout_id, kind, source, amount, recorded_at, said)
select payout_id, :kind, :source, amount, :now, cast(said as jsonb)
  from unnest(cast(:ids as text[]), cast(:amounts as bigint[]), cast(:said as text[])) as known (payout_id, amount, said)
    on conflict do nothing
