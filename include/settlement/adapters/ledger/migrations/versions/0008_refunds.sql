-- Held credit goes back to the borrower, and is paid out like what an investor is owed.

alter table ledger.entries
  drop constraint entries_event_check,
  add constraint entries_event_check check (event in (
    'opening', 'repayment_extracted', 'repayment_distributed', 'credit_applied', 'repayment_reversed',
    'refund_ordered', 'refund_undone', 'payout_prepared', 'payout_rejected', 'payout_returned', 'line_matched',
    'line_suspended', 'suspense_resolved', 'tolerance_booked', 'written_off', 'bank_charge', 'bank_interest',
    'remitted'));
alter table ledger.credits
  drop constraint credits_event_check,
  add constraint credits_event_check check (event in ('held', 'applied', 'taken_back', 'refunded'));
alter table ledger.day_totals
  drop constraint received_is_accounted_for,
  add column refunded_amount bigint not null default 0;
alter table ledger.day_totals
  alter column refunded_amount drop default,
  add constraint received_is_accounted_for check (
    received_amount::numeric = distributed_amount::numeric + fee_amount + vat_amount + national_tax_amount
      + local_tax_amount + cost_amount + credit_amount + quarantined_amount + refunded_amount);

-- One row per refund that a run took: once for ever. What it took of which credit say its `refund_ordered` entries.
create table ledger.refunds (
  refund_id        text collate "C" primary key,
  settlement_date  date not null,
  revision         integer not null,
  loan_id          text not null,
  currency         text not null,
  amount           bigint not null check (amount > 0)
);
create index on ledger.refunds (settlement_date, revision);

-- One row per refund that was refused and the run that refused it first; released when a later run takes it after all.
create table ledger.refused_refunds (
  settlement_date  date not null,
  revision         integer not null,
  refund_id        text collate "C" not null,
  loan_id          text not null,
  currency         text not null,
  amount           bigint not null check (amount > 0),
  rule             text not null,
  evidence         jsonb not null,
  released_on      date,
  primary key (settlement_date, revision, refund_id)
);
create unique index one_standing_refusal on ledger.refused_refunds (refund_id) where released_on is null;

-- One row per part of a refund that a person returned to the credit that it came from, because it was not paid. Runs of
-- dates after `settlement_date`, the newest that was settled by then, find it held again.
create table ledger.refunds_undone (
  entry_id         bigint primary key references ledger.entries,
  settlement_date  date not null references ledger.days,
  refund_id        text collate "C" not null references ledger.refunds,
  loan_id          text not null,
  repayment_id     text collate "C" not null,
  currency         text not null,
  amount           bigint not null check (amount > 0),
  reason           text not null check (reason <> ''),
  undone_by        text not null check (undone_by <> ''),
  undone_at        timestamptz not null
);
create index on ledger.refunds_undone (loan_id);
create trigger only_grows before update or delete or truncate on ledger.refunds
  for each statement execute function ledger.refuse_change();
create trigger only_grows before update or delete or truncate on ledger.refunds_undone
  for each statement execute function ledger.refuse_change();

-- What is held again makes the books newer: inputs that were read before are stale.
create function ledger.count_undone_refunds() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  update ledger.books_version set version = version + 1;
  return null;
end $$;
create trigger count_undone_refunds after insert on ledger.refunds_undone
  for each statement execute function ledger.count_undone_refunds();

-- One row per change of a held credit that counts: of the newest revision of a date, or by a person after it.
create view ledger.credit_changes as
select settlement_date, position, loan_id, repayment_id, currency, amount, event
  from ledger.credits
  join ledger.days using (settlement_date, revision)
 union all
select settlement_date, null, loan_id, repayment_id, currency, amount, 'refund_undone'
  from ledger.refunds_undone;

-- Neither a payout nor a refund that is undone takes more than is owed.
create or replace function ledger.check_and_total_postings() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select entry_id, sum(amount) as total into wrong from posted
   group by entry_id having sum(amount) <> 0 or count(distinct currency) > 1 limit 1;
  if found then
    raise exception 'Entry [%] does not balance: its postings sum to [%]', wrong.entry_id, wrong.total
      using errcode = 'integrity_constraint_violation';
  end if;
  select p.entry_id into wrong from posted p left join ledger.entries e using (entry_id)
   where e.entry_id is null or e.currency <> p.currency limit 1;
  if found then
    raise exception 'Posting of entry [%] has no entry in its currency', wrong.entry_id
      using errcode = 'integrity_constraint_violation';
  end if;
  insert into ledger.balances as b (account, currency, amount)
  select account, currency, sum(amount) from posted group by account, currency order by account, currency
  on conflict (account, currency) do update set amount = b.amount + excluded.amount;
  select case e.event when 'payout_prepared' then 'Payout' else 'What is undone' end as what, b.account, b.amount into wrong
    from posted p join ledger.entries e using (entry_id)
    join ledger.balances b on b.account = p.account and b.currency = p.currency
   where e.event in ('payout_prepared', 'refund_undone') and p.amount > 0 and b.amount > 0 limit 1;
  if found then
    raise exception '% above the balance: [%] would stand at [%]', wrong.what, wrong.account, wrong.amount
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;

-- A payee is an investor, or the borrower of one refund, who is named by it.
alter table ledger.payouts rename column investor_id to payee_id;
alter table ledger.payouts
  add column payee_kind text not null default 'investor' check (payee_kind in ('investor', 'borrower')),
  drop constraint payouts_settlement_date_revision_investor_id_currency_chunk_key,
  add unique (settlement_date, revision, payee_kind, payee_id, currency, chunk, attempt);
alter table ledger.payouts alter column payee_kind drop default;
create or replace function ledger.guard_payout() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or (new.state <> old.state and pg_trigger_depth() < 2)
     or (new.payout_id, new.settlement_date, new.revision, new.payee_kind, new.payee_id, new.currency, new.amount,
         new.end_to_end_id, new.payee_account) is distinct from
        (old.payout_id, old.settlement_date, old.revision, old.payee_kind, old.payee_id, old.currency, old.amount,
         old.end_to_end_id, old.payee_account)
     or (old.file_id is not null and new.file_id is distinct from old.file_id) then
    raise exception 'Payout [%] changes only by a step in ledger.payout_history', old.payout_id
      using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create or replace function ledger.check_next_attempts() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select p.payout_id, p.state into wrong
    from made m
    join ledger.payouts p using (settlement_date, revision, payee_kind, payee_id, currency, chunk)
   where m.attempt > 1 and p.attempt <> m.attempt and p.state not in ('rejected', 'returned') limit 1;
  if found then
    raise exception 'Payout [%] is [%]: its next attempt needs the proof that it was not paid', wrong.payout_id, wrong.state
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;

alter table ledger.holds rename column investor_id to payee_id;
alter table ledger.holds
  add column payee_kind text not null default 'investor' check (payee_kind in ('investor', 'borrower')),
  drop constraint holds_pkey,
  add primary key (payee_kind, payee_id, currency);
alter table ledger.holds alter column payee_kind drop default;

alter table ledger.refused_accounts rename column investor_id to payee_id;
alter table ledger.refused_accounts
  add column payee_kind text not null default 'investor' check (payee_kind in ('investor', 'borrower')),
  drop constraint refused_accounts_pkey,
  add primary key (payee_kind, payee_id, payee_account, payee_bank);
alter table ledger.refused_accounts alter column payee_kind drop default;

-- What people and reports see of it.
drop view reporting.settlement_days, reporting.settlement_days_all_revisions, reporting.payouts, reporting.held;

create view reporting.settlement_days_all_revisions as
select d.settlement_date, t.currency, r.revision, d.state, r.policy_name, r.policy_sha256, r.input_sha256, r.output_sha256,
       t.repayment_count, t.received_amount, t.distributed_amount, t.fee_amount, t.vat_amount, t.national_tax_amount,
       t.local_tax_amount, t.cost_amount, t.credit_amount, t.quarantined_amount, t.refunded_amount, d.settled_at,
       d.closed_at
  from ledger.days d
  left join ledger.revisions r on r.settlement_date = d.settlement_date
  left join ledger.day_totals t on t.settlement_date = r.settlement_date and t.revision = r.revision;

create view reporting.settlement_days as
select v.* from reporting.settlement_days_all_revisions v join ledger.days d using (settlement_date)
 where v.revision = d.revision or v.revision is null;

create view reporting.payouts as
select payout_id, settlement_date, revision, case payee_kind when 'investor' then payee_id end as investor_id, payee_kind,
       payee_id, currency, amount, state, end_to_end_id, file_id, attempt, bank_reason, submitted_at, booked_on
  from ledger.payouts;

create view reporting.held as
select case payee_kind when 'investor' then payee_id end as investor_id, payee_kind, payee_id, currency, amount, reason
  from ledger.holds;

create or replace view reporting.quarantine as
select settlement_date, revision, loan_id, repayment_id, currency, amount, rule, evidence, released_on
  from ledger.quarantine
 union all
select settlement_date, revision, loan_id, null, currency, amount, rule, evidence, released_on
  from ledger.refused_refunds;
