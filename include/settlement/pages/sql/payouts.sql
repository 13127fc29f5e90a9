-- One row per payout, of a date if one is named, newest first, after the last one that was shown.
select payout_id, settlement_date, payee_kind, payee_id, currency, amount, state, end_to_end_id, attempt, bank_reason,
       booked_on
  from ledger.payouts
 where (settlement_date, payout_id) < (:after_date, :after_id)
   and (cast(:on as date) is null or settlement_date = :on)
 order by settlement_date desc, payout_id desc
 limit :limit
