-- One row: the payout that a line names.
select payout_id, settlement_date, payee_kind, payee_id, currency, amount, state, end_to_end_id, booked_on
  from ledger.payouts
 where end_to_end_id = :id
