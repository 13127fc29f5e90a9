-- One row per payout of an investor on a date, for pairs of them.
select distinct p.payout_id, p.settlement_date, p.payee_id, p.currency, p.amount, p.state, p.booked_on
  from unnest(cast(:days as date[]), cast(:investors as text[])) as asked (settlement_date, investor_id)
  join ledger.payouts p on p.settlement_date = asked.settlement_date and p.payee_kind = 'investor'
                       and p.payee_id = asked.investor_id
 order by p.settlement_date, p.payee_id, p.payout_id
