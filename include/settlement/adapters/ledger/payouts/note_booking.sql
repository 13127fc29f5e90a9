-- Keep the first day on which payouts were booked: of those that had come back before a statement showed them leave, and of
-- those that an earlier statement, told later, shows leaving too.
update ledger.payouts p
   set booked_on = shown.booked_on
  from unnest(cast(:ids as text[]), cast(:days as date[])) as shown (payout_id, booked_on)
 where p.payout_id = shown.payout_id and (p.booked_on is null or p.booked_on > shown.booked_on)
