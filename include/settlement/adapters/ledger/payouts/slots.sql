-- One row per chunk that a day and revision has for a payee and currency.
select payee_kind, payee_id, currency, chunk::bigint, max(attempt)::bigint as attempt,
       bool_and(state = any(:proven_unpaid)) as is_free
  from ledger.payouts
 where settlement_date = :on and revision = :revision
 group by payee_kind, payee_id, currency, chunk
