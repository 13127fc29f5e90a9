-- Goes on from `open_problems`: those of a settlement date and an event, locked.
   and o.settlement_date = :date and o.event = :event
 order by o.alert_id
   for no key update of o
