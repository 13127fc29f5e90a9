-- One row per alert of a settlement date.
select alert_id, event, severity, channel, state, created_at, delivered_at, attempts, last_error
  from reporting.alerts
 where settlement_date = :on
 order by alert_id
 limit 200
