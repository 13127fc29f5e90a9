-- One settlement date with a row of everything that pages show, each text as nobody would write it who means well: text of
-- a place by `public.hostile`, ids by `public.id`. Triggers are off, so that none of it has to be a story that fits.
create function public.hostile(place text) returns text language sql immutable as $$
  select '=HYPERLINK("https://e.example","' || place || '")<evil onclick="x" id=''' || place || '''>javascript:alert(1)' || chr(10)
         || chr(8238) || 'reversed' || chr(8236) || ' & "quoted" ' || repeat('long', 100)
$$;
create function public.id(id text) returns text language sql immutable as $$ select '=<evil>"''/' || id $$;

insert into ledger.backfills (started_at) values ('2026-02-16 21:00Z');
insert into ledger.days (settlement_date, state, revision, run_id, opened_at, settled_at, failure)
values ('2026-02-12', 'failed', 2, public.id('run'), '2026-02-12 21:00Z', null, public.hostile('days.failure'));
insert into ledger.runs (run_id, settlement_date, revision, run_type, backfill_id, triggered_by, reason, started_at, outcome)
values (public.id('run'), '2026-02-12', 2, public.hostile('runs.run_type'), 1, null, public.hostile('runs.reason'),
        '2026-02-12 21:00Z', public.hostile('runs.outcome')),
       (public.id('by'), '2026-02-12', 1, 'manual', null, public.hostile('runs.triggered_by'), null, '2026-02-12 20:00Z', null);
insert into ledger.revisions (settlement_date, revision, run_id, reason, requested_by, policy_name, policy_version,
                              policy_sha256, input_sha256, output_sha256, code_version, computed_at)
select '2026-02-12', number, public.id('run'), public.hostile('revisions.reason'), public.hostile('revisions.requested_by'),
       '', '', '', '', '', '', '2026-02-12 21:00Z'
  from generate_series(1, 2) as number;
insert into ledger.day_totals (settlement_date, revision, currency, repayment_count, received_amount, distributed_amount,
                               fee_amount, vat_amount, national_tax_amount, local_tax_amount, cost_amount, credit_amount,
                               quarantined_amount, refunded_amount)
select '2026-02-12', number, 'KRW', 1, 1000, 1000, 0, 0, 0, 0, 0, 0, 0, 0 from generate_series(1, 2) as number;
insert into ledger.control_results values ('2026-02-12', public.hostile('control_results.control'), false, '2026-02-12 21:00Z');
insert into ledger.replayed_loans values ('2026-02-12', 2, public.id('L1'));
insert into ledger.repayments (repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, state, window_on,
                               taken_on, settled_on, is_extracted, reversed_by, stands_since, ended_on)
values (public.id('R1'), public.id('L1'), 'KRW', '2026-02-12 01:00Z', 1000, public.id('R0'), 'settled', '2026-02-12',
        '2026-02-12', '2026-02-12', true, public.id('R2'), '2026-02-12', '2026-02-12');
insert into ledger.allocations
select '2026-02-12', number, 1, public.id('R1'), public.id('L1'), public.hostile('allocations.receivable_id'), 'KRW', 'interest',
       1000 from generate_series(1, 2) as number;
select ledger.ensure_partition('ledger.shares', '2026-02-12', 1), ledger.ensure_partition('ledger.shares', '2026-02-12', 2),
       ledger.ensure_partition('ledger.postings', '2026-02-12', 0), ledger.ensure_partition('ledger.postings', '2026-02-12', 1);
insert into ledger.shares
select '2026-02-12', number, 1, public.id('R1'), public.id('L1'), public.hostile('allocations.receivable_id'),
       public.hostile('shares.note_id'), public.id('I1'), 'KRW', 'interest', 900 + number, 0, 0, 0, 0, 900 + number
  from generate_series(1, 2) as number;
insert into ledger.quarantine
values ('2026-02-12', 2, public.id('L1'), public.id('R1'), 'KRW', 1000, public.hostile('quarantine.rule'), '{}', '2026-02-12');
insert into ledger.entries (entry_id, settlement_date, revision, recorded_at, event, currency, repayment_id, payout_id)
values (1, '2026-02-12', 1, '2026-02-12 21:00Z', 'repayment_distributed', 'KRW', public.id('R1'), public.id('P1'));
insert into ledger.postings
values ('2026-02-12', 1, 1, 'investor_payable:' || public.id('I1'), 'KRW', -1000),
       ('2026-02-12', 1, 1, 'borrower_credit:' || public.hostile('postings.account'), 'KRW', 1000);
insert into ledger.balances values ('investor_payable:' || public.id('I1'), 'KRW', -1000);
insert into ledger.holds (payee_kind, payee_id, currency, amount, reason, since)
values ('investor', public.id('I1'), 'KRW', 10, 'frozen', '2026-02-12');

insert into ledger.payout_files (file_id, settlement_date, currency, payment_count, amount, content, sha256, created_at,
                                 sent_at, state, rejections, duplicates)
values ('=<evil>"''F1', '2026-02-12', 'KRW', 1, 1000, convert_to(public.hostile('payout_files.content'), 'UTF8'),
        public.hostile('payout_files.sha256'), '2026-02-12 21:00Z', '2026-02-12 21:00Z', 'unknown',
        array[public.hostile('payout_files.rejections')], array[public.hostile('payout_files.duplicates')]);
insert into ledger.payouts (payout_id, settlement_date, revision, payee_kind, payee_id, currency, chunk, attempt, amount,
                            state, end_to_end_id, file_id, payee_name, payee_account, payee_bank, bank_reason,
                            prepared_at, run_id)
select public.id('P' || attempt), '2026-02-12', 2, kind, payee, 'KRW', 1, attempt, 1000, state, '=<evil>"''E' || attempt,
       '=<evil>"''F1', public.hostile('payouts.payee_name'), '', public.hostile('payouts.payee_bank'),
       public.hostile('payouts.bank_reason'), '2026-02-12 21:00Z', public.hostile('payouts.run_id')
  from (values (1, 'investor', public.id('I1'), 'unknown'), (2, 'investor', public.id('I1'), 'prepared'),
               (3, 'borrower', public.hostile('payouts.payee_id'), 'unknown')) as payouts (attempt, kind, payee, state);
insert into ledger.payout_history (payout_id, from_state, to_state, at, cause, evidence)
values (public.id('P1'), 'submitted', 'unknown', '2026-02-12 21:00Z', public.hostile('payout_history.cause'),
        jsonb_build_object(public.hostile('payout_history.evidence.key'), public.hostile('payout_history.evidence')));
insert into ledger.payout_facts (payout_id, kind, source, recorded_at, said)
values (public.id('P1'), 'refused', public.hostile('payout_facts.source'), '2026-02-12 21:00Z',
        jsonb_build_object('by', public.hostile('payout_facts.said')));
insert into ledger.transmissions (file_id, number, started_at, outcome, answered_at, status_code, reason, said)
values ('=<evil>"''F1', 1, '2026-02-12 21:00Z', 'unknown', '2026-02-12 21:00Z', 500, public.hostile('transmissions.reason'), ''),
       ('=<evil>"''F1', 2, '2026-02-12 21:00Z', 'unknown', '2026-02-12 21:00Z', 500, null, public.hostile('transmissions.said'));
insert into ledger.approvals (approval_id, settlement_date, revision, payouts_sha256, payout_count, amounts, requested_at,
                              expires_at, decision, decided_by, decided_at, reason)
values ('A1', '2026-02-12', 2, public.hostile('approvals.payouts_sha256'), 1, '{"KRW": 1000}', '2026-02-12 21:00Z',
        '2026-02-13 21:00Z', null, null, null, null),
       ('A2', '2026-02-12', 2, '', 1, '{"KRW": 1000}', '2026-02-12 21:00Z', '2026-02-13 21:00Z', 'rejected',
        public.hostile('approvals.decided_by'), '2026-02-12 21:00Z', public.hostile('approvals.reason'));
insert into ledger.objections
values ('2026-02-12', public.hostile('objections.control'), public.hostile('objections.said'), '2026-02-12 22:00Z', '', null, null, null),
       ('2026-02-12', 'x', 'y', '2026-02-12 22:00Z', '', public.hostile('objections.overridden_by'),
        public.hostile('objections.reason'), '2026-02-12 22:00Z');

insert into ledger.bank_messages (sha256, direction, kind, name, content, recorded_at, state, refusal)
values ('m1', 'in', public.hostile('bank_messages.kind'), public.hostile('bank_messages.name'), '', '2026-02-12 22:00Z', 'refused',
        public.hostile('bank_messages.refusal'));
insert into ledger.uploads
select encode(sha256(content), 'hex'), public.hostile('uploads.name'), content, public.hostile('uploads.uploaded_by'),
       public.hostile('uploads.reason'), '2026-02-12 22:00Z'
  from (values (convert_to('x', 'UTF8'))) as uploads (content);
insert into ledger.refunds (refund_id, settlement_date, revision, loan_id, currency, amount)
values (public.id('B1'), '2026-02-12', 2, public.id('L1'), 'KRW', 500);
insert into ledger.holds (payee_kind, payee_id, currency, amount, reason, since)
values ('borrower', public.id('B1'), 'KRW', 500, 'no_account', '2026-02-12');
insert into ledger.refused_refunds
values ('2026-02-12', 2, public.id('B2'), public.id('L1'), 'KRW', 500, public.hostile('refused_refunds.rule'), '{}', null);
insert into ledger.statements (statement_id, sha256, account, currency, business_date, opening, closing, line_count,
                               content_key, applied_at, bank_name)
values (public.id('S1'), 'm1', public.hostile('statements.account'), 'KRW', '2026-02-12', 0, 0, 1, '', '2026-02-12 22:00Z',
        public.hostile('statements.bank_name'));
insert into ledger.statement_lines (line_id, statement_id, booking_date, amount, currency, end_to_end_id, reference,
                                    remittance, reason, state, bank_reference)
values (public.id('N1'), public.id('S1'), '2026-02-12', -1000, 'KRW', '=<evil>"''E1', public.hostile('statement_lines.reference'),
        public.hostile('statement_lines.remittance'), public.hostile('statement_lines.reason'), 'suspended',
        public.hostile('statement_lines.bank_reference')),
       (public.id('N2'), public.id('S1'), '2026-02-12', 1000, 'KRW', '=<evil>"''E9', null, '', null, 'matched', null);
insert into ledger.matches (line_id, subject_kind, subject_id, amount, rule, explanation, matched_at, match_id, matched_by)
values (public.id('N1'), 'payout', public.id('P1'), -1000, public.hostile('matches.rule'), public.hostile('matches.explanation'),
        '2026-02-12 22:00Z', '1', public.hostile('matches.matched_by')),
       (public.id('N2'), 'receipt', public.id('R1'), 1000, 'by_hand', '', '2026-02-12 22:00Z', '2', 'x'),
       (public.id('N2'), 'account', public.hostile('matches.subject_id'), 1000, 'by_hand', '', '2026-02-12 22:00Z', '2', 'x');
insert into ledger.breaks (cause, side, opened_on, currency, amount, subject_kind, subject_id, evidence, state, owner, comment,
                           resolved_on, resolution)
values ('unknown_at_bank', 'bank', '2026-02-12', 'KRW', -1000, 'line', public.id('N1'),
        jsonb_build_object('line', public.hostile('breaks.evidence')), 'assigned', public.hostile('breaks.owner'),
        public.hostile('breaks.comment'), null, null),
       ('missing_at_bank', 'ours', '2026-02-12', 'KRW', 1000, 'payout', public.id('P1'), '{}', 'open', null, null, null, null),
       (public.hostile('breaks.cause'), 'ours', '2026-02-12', null, null, public.hostile('breaks.subject_kind'),
        public.hostile('breaks.subject_id'), '{}', 'resolved', null, null, '2026-02-13', public.hostile('breaks.resolution')),
       ('loan', 'source', '2026-02-12', 'KRW', 1, 'loan', public.id('L1'), '{}', 'open', null, null, null, null),
       ('date', 'ours', '2026-02-12', null, null, 'date', public.hostile('breaks.subject_date'), '{}', 'open', null, null, null, null);
insert into ledger.break_history (break_id, at, by, what)
values (1, '2026-02-12 22:00Z', public.hostile('break_history.by'), public.hostile('break_history.what'));
insert into ledger.break_decisions (break_id, kind, target, amount, currency, reason, requested_by, requested_at, needs_second,
                                    decided_by, decided_at)
values (1, 'match', public.hostile('break_decisions.target'), -1000, 'KRW', public.hostile('break_decisions.reason'),
        public.hostile('break_decisions.requested_by'), '2026-02-12 22:00Z', true, null, null),
       (1, 'match', 'x', -1000, 'KRW', 'x', 'x', '2026-02-12 22:00Z', true, public.hostile('break_decisions.decided_by'),
        '2026-02-12 22:00Z');

insert into ledger.certificates (number, settlement_date, revision, body, sha256, issued_at)
values (1, '2026-02-12', 2,
        json_build_object(public.hostile('certificates.key'), public.hostile('certificates.body'),
                          'totals', json_build_object('KRW', json_build_object(public.hostile('certificates.name'), 1)))::text,
        public.hostile('certificates.sha256'), '2026-02-12 22:00Z');
insert into ledger.alert_roots (thread, channel, settlement_date) values ('t', 'c', '2026-02-12');
insert into ledger.alert_outbox (root_id, kind, settlement_date, event, severity, channel, dedupe_key, problem_key, payload, state,
                                 created_at, attempts, last_error, repeat_at)
values (1, 'reply', '2026-02-12', public.hostile('alert_outbox.event'), 'critical', 'c', 'k', 'k', '{}', 'failed',
        '2026-02-12 22:00Z', 1, public.hostile('alert_outbox.last_error'), '2026-02-13 22:00Z');
