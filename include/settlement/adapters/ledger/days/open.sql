-- Give a day to a run, which displaces any other; a day that failed goes on from where it was. Returns its revision.
insert into ledger.days (settlement_date, state, run_id, opened_at)
values (:on, 'open', :run, :now)
    on conflict (settlement_date) do update
   set run_id = excluded.run_id,
       state = case when ledger.days.state = 'failed'
                    then case when ledger.days.revision = 0 then 'open' else 'computed' end
                    else ledger.days.state
                end,
       failure = null
returning revision
