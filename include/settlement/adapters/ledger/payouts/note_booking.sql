-- Keep the day on which payouts were booked that had come back before the statement showed them leave.
update ledger.payouts p
   set booked_on = shown.booked_on
  from unnest(cast(:ids as text[]), cast(:days as date[])) as shown (payout_id, booked_on)
 where p.payout_id = shown.payout_id and p.booked_on is null
