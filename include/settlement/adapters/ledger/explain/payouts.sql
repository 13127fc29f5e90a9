-- One row per payout of an investor on a settlement date, without personal data.
select *
  from reporting.payouts
 where settlement_date = :on and investor_id = :investor
 order by payout_id
