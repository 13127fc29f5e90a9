-- One row per currency of what an investor is owed and not paid now.
select currency, amount, reason, since
  from ledger.holds
 where payee_kind = 'investor' and payee_id = :id
 order by currency
