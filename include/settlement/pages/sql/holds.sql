-- One row per payee and currency of what is owed and not paid now, the largest first.
select payee_kind, payee_id, currency, amount, reason, since
  from (select h.payee_kind, h.payee_id, h.currency, h.reason, h.since,
               least(h.amount, -(select b.amount from ledger.balances b
                                where b.account = h.payee_kind || '_payable:' || h.payee_id and b.currency = h.currency)) as amount
          from ledger.holds h) held
 where amount > 0
 order by amount desc, payee_kind, payee_id, currency
 limit :limit
