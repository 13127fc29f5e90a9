-- One row per alert that waits or failed, oldest first, a hundred at most.
select alert_id, settlement_date, event, severity, channel, state, created_at, attempts, last_error
  from ledger.alert_outbox
 where state in ('pending', 'failed') and event <> 'thread'
 order by alert_id
 limit 100
