-- Keep what speaks against paying, so that a person can answer for exactly that.
insert into ledger.objections (settlement_date, control, said, raised_at, run_id)
select :on, objection.control, objection.said, :now, :run
  from unnest(cast(:controls as text[]), cast(:said as text[])) as objection (control, said)
    on conflict do nothing
