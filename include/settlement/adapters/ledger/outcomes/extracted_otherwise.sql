-- One row per extraction that stands of a repayment kept back in another currency than that in which it is taken now.
select e.entry_id, e.repayment_id
  from ledger.repayments r
  join unnest(cast(:ids as text[]), cast(:currencies as text[])) as t (id, currency)
    on t.id = r.repayment_id and t.currency <> r.currency
  join ledger.standing_entries e on e.repayment_id = r.repayment_id and e.event = 'repayment_extracted'
 where r.state = 'quarantined'
   and not exists (select from ledger.entries x where x.reverses_entry_id = e.entry_id)
