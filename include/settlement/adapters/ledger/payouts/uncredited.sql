-- One row per returned payout that the bank debited more often than it credited it, with what is missing of it.
select p.payout_id, p.currency, p.booked_on, f.announced_at,
       (p.amount * (m.debits - m.credits))::bigint as amount
  from ledger.payouts p
  join lateral (
        select count(distinct occurrence) filter (where subject_kind = 'payout') as debits,
               count(distinct occurrence) filter (where subject_kind = 'payout_return') as credits
          from ledger.matches
         where subject_id = p.payout_id and subject_kind in ('payout', 'payout_return')
       ) m on m.debits > m.credits
  left join lateral (
        select min(recorded_at) as announced_at
          from ledger.payout_facts
         where payout_id = p.payout_id and kind = 'return_announced'
       ) f on true
 where p.state = 'returned'
   and not exists (select from ledger.entries e where e.payout_id = p.payout_id and e.event = 'written_off'
                      and e.reverses_entry_id is null
                      and not exists (select from ledger.entries r where r.reverses_entry_id = e.entry_id))
 order by p.payout_id
