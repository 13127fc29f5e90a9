-- One row per payout of the ten largest of a date that wait for their approval.
select payout_id, payee_kind, payee_id, currency, amount
  from ledger.payouts
 where settlement_date = :on and state = 'prepared'
 order by amount desc, payout_id
 limit 10
