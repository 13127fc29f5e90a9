-- One row per payout of an investor in a period, without personal data.
select payout_id, settlement_date, revision, investor_id, currency, amount, state, end_to_end_id, file_id, attempt,
       bank_reason, submitted_at, booked_on
  from reporting.payouts
 where settlement_date between :first and :last and investor_id = :investor
 order by settlement_date, payout_id
