-- One row per payout of a settlement date, without personal data.
select payout_id, investor_id, payee_kind, payee_id, currency, amount, state, end_to_end_id, file_id, attempt, bank_reason, booked_on
  from reporting.payouts
 where settlement_date = :on
 order by payout_id
