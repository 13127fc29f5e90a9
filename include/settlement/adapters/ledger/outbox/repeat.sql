-- Write a message once more, under a number of its own.
insert into ledger.alert_outbox (root_id, kind, settlement_date, event, severity, channel, dedupe_key, problem_key,
                                 payload, created_at)
select root_id, 'reply', settlement_date, event, severity, channel, dedupe_key || ':again:' || :number,
       problem_key || ':again:' || :number, payload, :now
  from ledger.alert_outbox
 where alert_id = :alert_id
    on conflict (dedupe_key, channel) do nothing
