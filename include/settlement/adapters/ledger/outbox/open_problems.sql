-- One row per problem that was told of and is not over; a reminder of it is none.
select o.alert_id, o.root_id, o.channel, o.settlement_date, o.event, o.problem_key, o.created_at, r.thread, o.severity
  from ledger.alert_outbox o
  join ledger.alert_roots r using (root_id)
 where o.resolved_at is null and o.state <> 'suppressed' and o.leader_id is null and o.kind = 'reply'
   and o.event <> 'resolved' and o.problem_key not like '%:again:%'
