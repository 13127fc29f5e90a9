-- Keep repayments as a settlement date took them; one that is there already takes the newer state and currency.
insert into ledger.repayments as r (repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, state,
                                    window_on, taken_on, settled_on, is_extracted)
select t.id, t.loan, t.currency, t.received_at, t.amount, t.reverses, t.state, t.window_on, :on,
       case when t.state = 'settled' then cast(:on as date) end, t.is_extracted
  from unnest(cast(:ids as text[]), cast(:loans as text[]), cast(:currencies as text[]),
              cast(:received as timestamptz[]), cast(:amounts as bigint[]), cast(:reverses as text[]),
              cast(:states as text[]), cast(:windows as date[]), cast(:extracted as boolean[]))
    as t (id, loan, currency, received_at, amount, reverses, state, window_on, is_extracted)
    on conflict (repayment_id) do update
   set state = excluded.state,
       currency = excluded.currency,
       settled_on = excluded.settled_on,
       is_extracted = r.is_extracted or excluded.is_extracted
