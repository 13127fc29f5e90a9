-- One row per payout that a statement shows as paid although it was said, by the bank or by people, not to have been.
select *
  from ledger.payouts p
 where p.state = 'booked'
   and p.payout_id in (select payout_id from ledger.payout_facts where kind in ('refused', 'absent'))
 order by p.payout_id
