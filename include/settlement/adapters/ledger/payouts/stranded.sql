-- One row per payout of an earlier day that nobody is going to send: never handed to the bank, and its day failed, or
-- it has waited since before :prepared_before.
select p.*
  from ledger.payouts p
  join ledger.days d using (settlement_date)
 where p.state = any(:unsent) and p.settlement_date < :before
   and (d.state = 'failed' or p.prepared_at <= :prepared_before)
 order by p.settlement_date, p.payout_id
