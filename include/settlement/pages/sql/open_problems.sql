-- One row per critical alert whose reminder is due or to come.
select alert_id, settlement_date, event, channel, created_at, repeat_at, repeats
  from ledger.alert_outbox
 where repeat_at is not null and resolved_at is null and severity = 'critical'
 order by repeat_at
 limit 100
