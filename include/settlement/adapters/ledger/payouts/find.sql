-- One row per payout, of a date and in the states that are named.
select *
  from ledger.payouts
 where (cast(:on as date) is null or settlement_date = :on)
   and (cast(:states as text[]) = '{}' or state = any(:states))
 order by settlement_date, payout_id
