-- Goes on from `open_problems`: the one that an alert tells of, or reminds of, in every channel; locked.
   and o.dedupe_key = (select regexp_replace(dedupe_key, ':again:[0-9]+$', '') from ledger.alert_outbox
                        where alert_id = :alert_id)
 order by o.alert_id
   for no key update of o
