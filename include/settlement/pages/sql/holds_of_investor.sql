-- One row per currency of what an investor is owed and not paid now.
select currency, amount, reason, since
  from (select h.currency, h.reason, h.since,
               least(h.amount, -(select b.amount from ledger.balances b
                                where b.account = 'investor_payable:' || h.payee_id and b.currency = h.currency)) as amount
          from ledger.holds h
         where h.payee_kind = 'investor' and h.payee_id = :id) held
 where amount > 0
 order by currency
