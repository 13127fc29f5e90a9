-- Keep the holds as they stand now; one with the same reason as before keeps the day since when.
insert into ledger.holds as h (payee_kind, payee_id, currency, amount, reason, since)
select payee_kind, payee_id, currency, amount, reason, :since
  from unnest(cast(:kinds as text[]), cast(:payees as text[]), cast(:currencies as text[]), cast(:amounts as bigint[]),
              cast(:reasons as text[])) as held (payee_kind, payee_id, currency, amount, reason)
    on conflict (payee_kind, payee_id, currency) do update
   set amount = excluded.amount,
       reason = excluded.reason,
       since = case when h.reason = excluded.reason then h.since else excluded.since end
