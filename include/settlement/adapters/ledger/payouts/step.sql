-- Take payouts one step further, in the order in which they are given; the database knows which steps exist.
insert into ledger.payout_history (payout_id, from_state, to_state, at, cause, evidence)
select p.payout_id, p.state, :to_state, :now, :cause, cast(given.evidence as jsonb)
  from unnest(cast(:ids as text[]), cast(:evidence as text[])) with ordinality as given (payout_id, evidence, place)
  join ledger.payouts p using (payout_id)
 order by given.place
