-- One row per attempt in the place of a payout.
select payout_id, attempt, amount, state
  from ledger.payouts
 where settlement_date = :on and revision = :revision and payee_kind = :kind and payee_id = :payee and currency = :currency
   and chunk = :chunk
 order by attempt
