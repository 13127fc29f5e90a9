-- One row per dry run of a settlement date, newest first: what people were told of it.
select alert_id, created_at, payload
  from (select distinct on (dedupe_key) alert_id, created_at, payload
          from ledger.alert_outbox
         where settlement_date = :on and event = 'day.dry_run'
         order by dedupe_key, alert_id desc) told
 order by alert_id desc
 limit 5
