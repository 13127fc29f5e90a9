-- Write a message, and return its number; no row where the key (or the root of the thread) is there already.
insert into ledger.alert_outbox (root_id, kind, settlement_date, event, severity, channel, dedupe_key, problem_key,
                                 group_key, payload, state, created_at)
values (:root_id, :kind, :date, :event, :severity, :channel, :dedupe_key, :key, :group, :payload, :state, :now)
    on conflict do nothing
returning alert_id
