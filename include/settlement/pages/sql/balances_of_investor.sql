-- One row per currency of what an investor is owed now.
select currency, -amount as amount
  from ledger.balances
 where account = 'investor_payable:' || :id
 order by currency
