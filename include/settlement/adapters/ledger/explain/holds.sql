-- One row per balance of an investor that is owed and not paid now.
select investor_id, currency, amount, reason, since from ledger.holds where investor_id = :investor order by currency
