-- One row per payout: what is known of it. Its debits and credits are the lines that are matched with it, each time that
-- it left or came back once, the lines not matched yet that carry its id, and what a person booked elsewhere.
with asked as (
  select payout_id, payee_kind, payee_id, settlement_date, currency, amount, state, submitted_at, end_to_end_id
    from ledger.payouts
   where payout_id = any(:ids)
),
shown as (
  select m.subject_id as payout_id, m.subject_kind = 'payout' as is_debit, true as is_matched, l.line_id, l.booking_date,
         l.reason, m.occurrence
    from ledger.matches m
    join ledger.statement_lines l using (line_id)
   where m.subject_id = any(:ids) and m.subject_kind in ('payout', 'payout_return')
   union all
  select a.payout_id, l.amount < 0, false, l.line_id, l.booking_date, l.reason, null
    from ledger.statement_lines l
    join asked a on a.end_to_end_id = l.end_to_end_id and a.currency = l.currency
   where l.state <> 'matched' and not l.is_charge
     and (l.amount <= -a.amount or l.amount > 0 and l.amount <= a.amount and (l.is_return or l.amount * 2 > a.amount))
   union all
  select f.payout_id, f.kind = 'debit_explained', null, l.line_id, l.booking_date, l.reason, null
    from ledger.payout_facts f
    join ledger.statement_lines l on l.line_id = f.source
   where f.payout_id = any(:ids) and f.kind in ('debit_explained', 'credit_explained')
),
counted as (
  select payout_id,
         count(distinct occurrence) filter (where is_debit) as matched_debits,
         count(distinct occurrence) filter (where not is_debit) as matched_credits,
         count(*) filter (where is_debit and not is_matched) as open_debits,
         count(*) filter (where not is_debit and not is_matched) as open_credits,
         min(booking_date) filter (where is_debit) as booked_on,
         min(line_id) filter (where is_debit) as debit_line,
         max(line_id) filter (where not is_debit) as credit_line,
         max(reason) filter (where not is_debit) as credit_reason
    from shown
   group by payout_id
),
told as (
  select payout_id,
         count(*) filter (where kind = 'debit_explained') as explained_debits,
         count(*) filter (where kind = 'credit_explained') as explained_credits,
         bool_or(kind = 'return_announced') as is_return_announced,
         bool_or(kind in ('withdrawn', 'refused', 'absent')) as is_unpaid,
         -- Of several proofs of one thing the last that came speaks.
         jsonb_object_agg(case when kind = 'return_announced' then 'returned' else 'rejected' end, said
                          order by recorded_at, kind, source)
           filter (where kind not in ('debit_explained', 'credit_explained')) as said
    from ledger.payout_facts
   where payout_id = any(:ids)
   group by payout_id
)
select a.payout_id, a.payee_kind, a.payee_id, a.settlement_date, a.currency, a.amount, a.state, a.submitted_at,
       coalesce(matched_debits, 0) + coalesce(open_debits, 0) + coalesce(explained_debits, 0) as debits,
       coalesce(matched_credits, 0) + coalesce(open_credits, 0) + coalesce(explained_credits, 0) as credits,
       coalesce(explained_debits, 0) as explained_debits,
       coalesce(explained_credits, 0) as explained_credits,
       coalesce(matched_debits, 0) as matched_debits,
       coalesce(matched_credits, 0) as matched_credits,
       coalesce(is_return_announced, false) as is_return_announced,
       coalesce(is_unpaid, false) as is_unpaid,
       booked_on, debit_line, credit_line,
       said ->> 'returned' as return_said, said ->> 'rejected' as rejection_said, credit_reason
  from asked a
  left join counted using (payout_id)
  left join told using (payout_id)
 order by a.payout_id
