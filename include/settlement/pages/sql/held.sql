-- One row per reason and currency of what is owed and not paid now; what a payee is owed no more is not held.
select reason, currency, count(*) as count, sum(amount)::bigint as amount
  from (select h.reason, h.currency,
               least(h.amount, -(select b.amount from ledger.balances b
                                where b.account = h.payee_kind || '_payable:' || h.payee_id and b.currency = h.currency)) as amount
          from ledger.holds h) held
 where amount > 0
 group by reason, currency
 order by currency, reason
