-- One row per balance of an investor that is owed and not paid now.
select payee_id as investor_id, currency, amount, reason, since
  from ledger.holds
 where payee_kind = 'investor' and payee_id = :investor
 order by currency
