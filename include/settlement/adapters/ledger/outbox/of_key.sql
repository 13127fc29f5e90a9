-- Goes on from `open_problems`: those that were told under a key, or under it with a number, locked.
   and (o.dedupe_key = :key or starts_with(o.dedupe_key, :key || '#'))
 order by o.alert_id
   for no key update of o
