-- Keep a run as it begins, and after which step of payouts; a run that is cleared begins anew under its id.
insert into ledger.runs (run_id, settlement_date, revision, run_type, backfill_id, triggered_by, reason, step_before,
                         started_at)
values (:run, :on, :revision, :type, :backfill, :by, :reason,
        coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.payout_history', 'step')), 0), :now)
    on conflict (run_id) do update
   set settlement_date = excluded.settlement_date,
       revision = excluded.revision,
       run_type = excluded.run_type,
       backfill_id = excluded.backfill_id,
       triggered_by = excluded.triggered_by,
       reason = excluded.reason,
       step_before = excluded.step_before,
       started_at = excluded.started_at,
       ended_at = null,
       outcome = null
