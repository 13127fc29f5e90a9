-- The books of a lender who settled every date of `public.dates`, as the stages would have left them: each receipt is
-- divided among ten investors, each of whom is paid. The newest date waits for an approval; nothing of it was sent. Of
-- `public.receipts` and `public.payees` there is one row per receipt and payout. Triggers are off.
create table public.receipts as
select d.on_date, d.until_at, d.entries, d.is_newest, m as number,
       to_char(d.on_date, 'YYYYMMDD') || '-' || lpad(m::text, 6, '0') as id, 'L' || lpad(m::text, 6, '0') as loan_id,
       (select sum(9100 + n % 97 * 100 + 1000) from generate_series(m * 10 - 9, m * 10) as n)::bigint as amount
  from public.dates d, generate_series(1, d.payouts / 10) as m;

create table public.payees as
select d.on_date, d.until_at, d.entries + 2 * (d.payouts / 10) as entries, d.is_newest, n as number,
       to_char(d.on_date, 'YYYYMMDD') || '-' || lpad(n::text, 6, '0') as id, 'I' || lpad(n::text, 6, '0') as investor_id,
       10000 + n % 97 * 100 as amount, 'F-' || to_char(d.on_date, 'YYYYMMDD') || '-' || (n - 1) / 10000 + 1 as file_id
  from public.dates d, generate_series(1, d.payouts) as n;

insert into ledger.days (settlement_date, state, revision, run_id, opened_at, settled_at, closed_at, window_from, window_until)
select on_date, case when is_newest then 'awaiting_approval' else 'closed' end, 1, 'run-' || on_date, until_at,
       case when not is_newest then until_at + interval '8 hours' end,
       case when not is_newest then until_at + interval '9 hours' end, from_at, until_at
  from public.dates;

insert into ledger.revisions (settlement_date, revision, run_id, policy_name, policy_version, policy_sha256, input_sha256,
                              output_sha256, code_version, computed_at)
select on_date, 1, 'run-' || on_date, 'kr', '1', md5('p'), md5(on_date::text), md5(on_date::text), 'benchmark', until_at
  from public.dates;

insert into ledger.runs (run_id, settlement_date, revision, run_type, started_at, ended_at, outcome)
select 'run-' || on_date, on_date, 1, 'scheduled', until_at, until_at + interval '1 hour', 'closed' from public.dates;

insert into ledger.day_totals (settlement_date, revision, currency, repayment_count, received_amount, distributed_amount,
                               fee_amount, vat_amount, national_tax_amount, local_tax_amount, cost_amount, credit_amount,
                               quarantined_amount, refunded_amount)
select on_date, 1, 'KRW', count(*), sum(amount), sum(amount) - count(*) * 1000, count(*) * 800, count(*) * 80,
       count(*) * 100, count(*) * 20, 0, 0, 0, 0
  from public.receipts
 group by on_date;

insert into ledger.control_results (settlement_date, control, is_held, ran_at)
select on_date, control, true, until_at
  from public.dates, unnest(array['shares_sum_to_allocations', 'entries_balance', 'payouts_within_balances']) as control;

insert into ledger.repayments (repayment_id, loan_id, currency, received_at, amount, state, window_on, taken_on,
                               stands_since, settled_on, ended_on, is_extracted)
select 'R-' || id, loan_id, 'KRW', until_at - interval '12 hours', amount, 'settled', on_date, on_date, on_date, on_date,
       on_date, true
  from public.receipts
 order by on_date, number;

insert into ledger.allocations (settlement_date, revision, position, repayment_id, loan_id, receivable_id, currency,
                                component, amount)
select on_date, 1, 2 * number - of_interest, 'R-' || id, loan_id, case of_interest when 1 then 'RI-' else 'RP-' end || id,
       'KRW', case of_interest when 1 then 'interest' else 'principal' end,
       case of_interest when 1 then 10000 else amount - 10000 end
  from public.receipts, (values (1), (0)) as kinds (of_interest)
 order by on_date, number, of_interest desc;

insert into ledger.entries (entry_id, settlement_date, revision, recorded_at, event, currency, repayment_id)
select entries + 2 * number - is_first, on_date, 1, until_at,
       case is_first when 1 then 'repayment_extracted' else 'repayment_distributed' end, 'KRW', 'R-' || id
  from public.receipts, (values (1), (0)) as kinds (is_first)
 order by 1;

insert into ledger.entries (entry_id, settlement_date, revision, recorded_at, event, currency, payout_id, line_id)
select entries + 2 * number - is_first, on_date, 1, until_at,
       case is_first when 1 then 'payout_prepared' else 'line_matched' end, 'KRW', 'P-' || id,
       case is_first when 0 then 'S-' || to_char(on_date, 'YYYYMMDD') || '-' || lpad(number::text, 6, '0') end
  from public.payees, (values (1), (0)) as kinds (is_first)
 where is_first = 1 or not is_newest
 order by 1;

insert into ledger.payout_files (file_id, settlement_date, currency, payment_count, amount, content, sha256, created_at,
                                 sent_at, state)
select file_id, on_date, 'KRW', count(*), sum(amount), 'x', md5(file_id), until_at, until_at + interval '6 hours', 'received'
  from public.payees
 where not is_newest
 group by file_id, on_date, until_at;

insert into ledger.transmissions (file_id, number, run_id, started_at, outcome, answered_at, status_code)
select file_id, 1, 'run-' || settlement_date, sent_at, 'received', sent_at, 201 from ledger.payout_files;

insert into ledger.payouts (payout_id, settlement_date, revision, payee_kind, payee_id, currency, chunk, attempt, amount,
                            state, end_to_end_id, file_id, payee_name, payee_account, payee_bank, prepared_at,
                            submitted_at, booked_on, run_id)
select 'P-' || id, on_date, 1, 'investor', investor_id, 'KRW', 1, 1, amount,
       case when is_newest then 'prepared' when number % 1000 = 1 then 'unknown' else 'booked' end, 'E-' || id,
       case when not is_newest then file_id end, '홍길동', '110' || lpad(number::text, 9, '0'), '088', until_at,
       case when not is_newest then until_at + interval '6 hours' end,
       case when not is_newest and number % 1000 <> 1 then on_date + 1 end, 'run-' || on_date
  from public.payees
 order by on_date, number;

insert into ledger.payout_history (payout_id, from_state, to_state, at, cause)
select 'P-' || id, before, after, until_at + interval '6 hours', 'benchmark'
  from public.payees, (values ('prepared', 'approved'), ('approved', 'submitted'), ('submitted', 'booked')) as s (before, after)
 where not is_newest
 order by on_date, number;

insert into ledger.approvals (approval_id, settlement_date, revision, payouts_sha256, payout_count, amounts, requested_at,
                              expires_at, decision, decided_by, decided_at)
select 'A-' || on_date, on_date, 1, md5(on_date::text), payouts, jsonb_build_object('KRW', payouts * 14800::bigint), until_at,
       until_at + interval '12 hours', case when not is_newest then 'approved' end, case when not is_newest then 'checker' end,
       case when not is_newest then until_at + interval '1 hour' end
  from public.dates;

insert into ledger.bank_messages (sha256, direction, kind, name, content, recorded_at, state, refusal)
select md5(on_date || kind), 'in', kind, kind || '-' || on_date || '.xml', 'x', until_at + interval '1 day',
       case when kind = 'camt.054' and place % 50 = 0 then 'refused' else 'applied' end,
       case when kind = 'camt.054' and place % 50 = 0 then 'Line 3: no amount' end
  from public.dates, unnest(array['camt.053', 'camt.054', 'pain.002']) as kind
 where not is_newest;

insert into ledger.statements (statement_id, sha256, account, currency, business_date, opening, closing, line_count,
                               content_key, applied_at, bank_name)
select 'S-' || to_char(on_date, 'YYYYMMDD'), md5(on_date || 'camt.053'), 'KR23MOCK0000000099', 'KRW', on_date + 1, 0, 0,
       payouts, md5(on_date::text), until_at + interval '1 day', 'S-' || to_char(on_date, 'YYYYMMDD')
  from public.dates
 where not is_newest
 order by on_date;

insert into ledger.statement_lines (line_id, statement_id, booking_date, value_date, amount, currency, end_to_end_id,
                                    reference, remittance, bank_reference, state)
select 'S-' || id, 'S-' || to_char(on_date, 'YYYYMMDD'), on_date + 1, on_date + 1, -amount, 'KRW', 'E-' || id,
       'N-' || id, 'payout', 'B-' || id, 'matched'
  from public.payees
 where not is_newest and number % 1000 <> 1
 order by on_date, number;

insert into ledger.matches (line_id, subject_kind, subject_id, amount, rule, explanation, matched_at, match_id)
select 'S-' || id, 'payout', 'P-' || id, -amount, 'end_to_end_id', 'benchmark', until_at + interval '1 day', 'S-' || id
  from public.payees
 where not is_newest and number % 1000 <> 1
 order by on_date, number;

insert into ledger.breaks (cause, side, opened_on, age_business_days, currency, amount, subject_kind, subject_id, state,
                           resolved_on, resolution)
select case when n % 4 = 0 then 'unknown_at_bank' else 'missing_at_bank' end, 'bank', on_date, 1, 'KRW', n * 100,
       case when n % 4 = 0 then 'line' else 'payout' end,
       case when n % 4 = 0 then 'S-' else 'P-' end || to_char(on_date, 'YYYYMMDD') || '-' || lpad((n + 1)::text, 6, '0'),
       case when n = 20 and place % 5 = 0 then 'open' else 'resolved' end,
       case when not (n = 20 and place % 5 = 0) then on_date + 1 end, case when not (n = 20 and place % 5 = 0) then 'matched' end
  from public.dates, generate_series(1, 20) as n
 order by on_date, n;

insert into ledger.break_history (break_id, at, by, what)
select break_id, opened_on, 'settlement', 'found' from ledger.breaks;

insert into ledger.certificates (number, settlement_date, revision, body, sha256, issued_at)
select row_number() over (order by on_date), on_date, 1, json_build_object('settlement_date', on_date)::text, md5('c' || on_date),
       until_at + interval '9 hours'
  from public.dates
 where not is_newest;

insert into ledger.alert_roots (thread, channel, settlement_date)
select 'day:' || on_date, 'C0SETTLE', on_date from public.dates;

insert into ledger.alert_outbox (root_id, kind, settlement_date, event, severity, channel, dedupe_key, problem_key, payload,
                                 state, created_at, delivered_at, resolved_at, version, sent_version, attempts)
select root_id, case n when 1 then 'root' else 'reply' end, settlement_date, 'day.completed', 'info', 'C0SETTLE',
       settlement_date || ':' || n, settlement_date || ':' || n, '{}', case when n = 20 and root_id % 100 = 0 then 'failed' else 'delivered' end,
       settlement_date, settlement_date, settlement_date, 1, 1, 1
  from ledger.alert_roots, generate_series(1, 20) as n
 order by settlement_date, n;

insert into ledger.holds (payee_kind, payee_id, currency, amount, reason, since)
select 'investor', 'I' || lpad(n::text, 6, '0'), 'KRW', 500, case n % 2 when 0 then 'below_minimum' else 'no_account' end, current_date
  from generate_series(1, (select max(payouts) from public.dates) / 100) as n;

insert into ledger.balances (account, currency, amount)
select 'investor_payable:' || investor_id, 'KRW', -500 from public.payees group by investor_id;
