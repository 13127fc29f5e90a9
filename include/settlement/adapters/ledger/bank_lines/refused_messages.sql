-- Every message that could not be used, oldest first; one that was foreign first, as of when it was read again.
select m.sha256, m.kind, m.name,
       coalesce(a.read_at, m.recorded_at) as recorded_at,
       coalesce(a.refusal, m.refusal) as refusal,
       coalesce(a.statement_id, m.statement_id) as statement_id,
       coalesce(a.difference, m.difference) as difference
  from ledger.bank_messages m
  left join ledger.messages_read_again a using (sha256)
 where coalesce(a.state, m.state) = 'refused'
 order by 4, 1
