-- Keep repayments as a settlement date took them; one that is there already takes the newer state and currency. What
-- has no money in the ledger, a reversal that was refused, is kept as the source says it by now.
insert into ledger.repayments as r (repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, state,
                                    window_on, taken_on, stands_since, settled_on, ended_on, is_extracted)
select t.id, t.loan, t.currency, t.received_at, t.amount, t.reverses, t.state, t.window_on, :on, :on,
       case when t.state = 'settled' then cast(:on as date) end,
       case when t.state <> 'quarantined' then cast(:on as date) end, t.is_extracted
  from unnest(cast(:ids as text[]), cast(:loans as text[]), cast(:currencies as text[]),
              cast(:received as timestamptz[]), cast(:amounts as bigint[]), cast(:reverses as text[]),
              cast(:states as text[]), cast(:windows as date[]), cast(:extracted as boolean[]))
    as t (id, loan, currency, received_at, amount, reverses, state, window_on, is_extracted)
    on conflict (repayment_id) do update
   set state = excluded.state,
       currency = excluded.currency,
       settled_on = excluded.settled_on,
       ended_on = excluded.ended_on,
       stands_since = case when r.state = 'untaken' then excluded.stands_since else r.stands_since end,
       loan_id = case when r.is_extracted then r.loan_id else excluded.loan_id end,
       received_at = case when r.is_extracted then r.received_at else excluded.received_at end,
       amount = case when r.is_extracted then r.amount else excluded.amount end,
       reverses_repayment_id = case when r.is_extracted then r.reverses_repayment_id
                                    else excluded.reverses_repayment_id end,
       window_on = case when r.is_extracted then r.window_on else excluded.window_on end,
       is_extracted = r.is_extracted or excluded.is_extracted
