-- One settled date of a lender's past, as settling it would have left it: the loans of a cohort pay one of their
-- instalments. `public.lender_loans` and `public.lender_notes` say who owes whom what. Triggers are off.
insert into ledger.days (settlement_date, state, revision, run_id, opened_at, settled_at, window_from, window_until)
values (:on, 'closed', 1, 'history', :until, :until, :from, :until);

insert into ledger.revisions (settlement_date, revision, run_id, policy_name, policy_version, policy_sha256, input_sha256,
                              output_sha256, code_version, computed_at)
values (:on, 1, 'history', 'history', '', '', '', '', '', :until);

insert into ledger.day_totals (settlement_date, revision, currency, repayment_count, received_amount, distributed_amount,
                               fee_amount, vat_amount, national_tax_amount, local_tax_amount, cost_amount, credit_amount,
                               quarantined_amount, refunded_amount)
select :on, 1, 'KRW', count(*), sum(interest + principal), sum(interest + principal), 0, 0, 0, 0, 0, 0, 0, 0
  from public.lender_loans
 where cohort = :cohort;

insert into ledger.repayments (repayment_id, loan_id, currency, received_at, amount, state, window_on, taken_on,
                               stands_since, settled_on, ended_on, is_extracted)
select 'P' || loan_id || '-' || lpad(:number ::text, 2, '0'), loan_id, 'KRW',
       :until ::timestamptz - interval '12 hours' + place * interval '1 second',
       interest + principal + case when holds and :number = 1 then 1000 else 0 end, 'settled', :on, :on, :on, :on, :on, true
  from public.lender_loans
 where cohort = :cohort
 order by place;

insert into ledger.allocations (settlement_date, revision, position, repayment_id, loan_id, receivable_id, currency,
                                component, amount)
select :on, 1, 2 * place - is_interest, 'P' || loan_id || '-' || lpad(:number ::text, 2, '0'), loan_id,
       case is_interest when 1 then 'RI' else 'RP' end || loan_id || '-' || lpad(:number ::text, 2, '0'), 'KRW',
       case is_interest when 1 then 'interest' else 'principal' end, case is_interest when 1 then interest else principal end
  from public.lender_loans, (values (1), (0)) as kinds (is_interest)
 where cohort = :cohort
 order by place, is_interest desc;

insert into ledger.credits (settlement_date, revision, position, loan_id, repayment_id, currency, amount, event)
select :on, 1, 2 * place - is_held, loan_id, 'P' || loan_id || '-' || lpad((:number - 1 + is_held)::text, 2, '0'), 'KRW',
       case is_held when 1 then 1000 else -1000 end, case is_held when 1 then 'held' else 'applied' end
  from public.lender_loans, (values (1), (0)) as kinds (is_held)
 where cohort = :cohort and holds and :number - 1 + is_held > 0;

select ledger.open_leaf('ledger.shares', :on, 1);

insert into {shares} (settlement_date, revision, position, repayment_id, loan_id, receivable_id, note_id, investor_id,
                      currency, component, gross_amount, fee_amount, vat_amount, national_tax_amount, local_tax_amount,
                      net_amount)
select :on, 1, 2 * l.place - is_interest, 'P' || l.loan_id || '-' || lpad(:number ::text, 2, '0'), l.loan_id,
       case is_interest when 1 then 'RI' else 'RP' end || l.loan_id || '-' || lpad(:number ::text, 2, '0'), n.note_id,
       n.investor_id, 'KRW', case is_interest when 1 then 'interest' else 'principal' end,
       case is_interest when 1 then n.interest else n.principal end, n.interest * 8 / 100 * is_interest,
       n.interest * 8 / 1000 * is_interest, 0, 0,
       case is_interest when 1 then n.interest - n.interest * 8 / 100 - n.interest * 8 / 1000 else n.principal end
  from public.lender_notes n
  join public.lender_loans l using (loan_id), (values (1), (0)) as kinds (is_interest)
 where n.cohort = :cohort
 order by l.place;

select ledger.attach_leaf('ledger.shares', :on, 1);

insert into ledger.positions (loan_id, settlement_date, note_ids, repaid, receivable_ids, allocated)
select l.loan_id, :on, n.ids, n.repaid, r.ids, r.allocated
  from public.lender_loans l
  join (select loan_id, array_agg(note_id order by note_id) as ids, array_agg(principal * :number order by note_id) as repaid
          from public.lender_notes
         where cohort = :cohort
         group by loan_id) n using (loan_id),
       lateral (select array_agg(kind || l.loan_id || '-' || lpad(number::text, 2, '0')) as ids,
                       array_agg(case kind when 'RI' then l.interest else l.principal end) as allocated
                  from generate_series(1, :number) as number, (values ('RI'), ('RP')) as kinds (kind)) r
 where l.cohort = :cohort
 order by l.place;

insert into ledger.entries (entry_id, settlement_date, revision, recorded_at, event, currency, repayment_id)
select :entries + 2 * place - is_first, :on, 1, :until,
       case is_first when 1 then 'repayment_extracted' else 'repayment_distributed' end, 'KRW',
       'P' || loan_id || '-' || lpad(:number ::text, 2, '0')
  from public.lender_loans, (values (1), (0)) as kinds (is_first)
 where cohort = :cohort
 order by place, is_first desc;

select ledger.ensure_partition('ledger.postings', :on, 1);

insert into {postings} (settlement_date, part, entry_id, account, currency, amount)
select :on, 1, entry_id, account, 'KRW', sum(amount)
  from (select :entries + 2 * l.place as entry_id, 'investor_payable:' || n.investor_id as account,
               -(n.interest - n.interest * 8 / 100 - n.interest * 8 / 1000 + n.principal) as amount
          from public.lender_notes n
          join public.lender_loans l using (loan_id)
         where n.cohort = :cohort
        union all
        select :entries + 2 * l.place - is_first, account, sign * (interest + principal)
          from public.lender_loans l,
               (values (1, 'receipts_in_transit', 1), (1, 'repayments_unallocated', -1), (0, 'repayments_unallocated', 1))
                 as legs (is_first, account, sign)
         where cohort = :cohort
        union all
        select :entries + 2 * l.place, 'fee_income', -sum(n.interest * 8 / 100 + n.interest * 8 / 1000)
          from public.lender_notes n
          join public.lender_loans l using (loan_id)
         where n.cohort = :cohort
         group by l.place) legs
 group by entry_id, account
having sum(amount) <> 0
 order by entry_id;
