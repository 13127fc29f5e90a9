-- Let what was kept back stand as kept back, where a date from the given one on released it.
with refused as (
  update ledger.refused_refunds set released_on = null where loan_id = any(:loans) and released_on >= :since
)
update ledger.quarantine set released_on = null where loan_id = any(:loans) and released_on >= :since
