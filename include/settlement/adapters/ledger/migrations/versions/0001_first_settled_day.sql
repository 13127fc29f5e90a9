-- The settlement database: the books of every settlement date, and nothing that the books do not need.
-- Debits are positive, credits negative. Money is bigint minor units beside its currency. The ledger only grows.

create schema if not exists ledger;
create schema if not exists reporting;

-- ---------------------------------------------------------------------------------------------- days and runs

-- One row per settlement date that was ever opened. `revision` is the newest computed one; 0: none so far.
create table ledger.days (
  settlement_date  date primary key,
  state            text not null check (state in ('open', 'computed', 'awaiting_approval', 'paying', 'settled',
                                                  'settled_with_breaks', 'closed', 'failed')),
  revision         integer not null default 0 check (revision >= 0),
  run_id           text not null,            -- the fence: only this run may write; opening the day again displaces it
  opened_at        timestamptz not null,
  settled_at       timestamptz,
  closed_at        timestamptz,
  failure          text
);

-- One row per computed revision of a day: what it saw, what it was computed with, and what came out, as hashes.
create table ledger.revisions (
  settlement_date  date not null references ledger.days,
  revision         integer not null check (revision > 0),
  run_id           text not null,
  reason           text,
  policy_name      text not null,
  policy_version   text not null,
  policy_sha256    text not null,
  input_sha256     text not null,
  output_sha256    text not null,
  code_version     text not null,
  computed_at      timestamptz not null,
  primary key (settlement_date, revision)
);

-- One row per frozen input: the facts and positions that a revision saw, a Parquet folder in the snapshot store.
create table ledger.snapshots (
  settlement_date  date not null references ledger.days,
  revision         integer not null check (revision > 0),
  input_sha256     text not null,
  books_version    bigint not null,          -- the books it was frozen against: see ledger.books_version
  frozen_at        timestamptz not null,
  primary key (settlement_date, revision)
);

-- How often results were posted. Inputs frozen against older books are frozen again before they are computed with.
create table ledger.books_version (only_row boolean primary key default true check (only_row), version bigint not null);
insert into ledger.books_version (version) values (0);

-- One row per day, revision and currency. The identity is a constraint: what came in is all accounted for.
create table ledger.day_totals (
  settlement_date      date not null,
  revision             integer not null,
  currency             text not null,
  repayment_count      bigint not null,
  received_amount      bigint not null,
  distributed_amount   bigint not null,
  fee_amount           bigint not null,
  vat_amount           bigint not null,
  national_tax_amount  bigint not null,
  local_tax_amount     bigint not null,
  cost_amount          bigint not null,
  credit_amount        bigint not null,
  quarantined_amount   bigint not null,
  primary key (settlement_date, revision, currency),
  foreign key (settlement_date, revision) references ledger.revisions,
  constraint received_is_accounted_for check (
    received_amount::numeric = distributed_amount::numeric + fee_amount + vat_amount + national_tax_amount
      + local_tax_amount + cost_amount + credit_amount + quarantined_amount)
);

-- One row per date and control that ran for it: what came of it last.
create table ledger.control_results (
  settlement_date  date not null,
  control          text not null,
  is_held          boolean not null,
  ran_at           timestamptz not null,
  primary key (settlement_date, control)
);

-- One row per backfill. Airflow runs one at a time and tells no task its number: this one is ours.
create table ledger.backfills (
  backfill_id  bigint generated always as identity primary key,
  started_at   timestamptz not null,
  ended_at     timestamptz
);
create unique index one_backfill_at_a_time on ledger.backfills ((true)) where ended_at is null;

-- One row per attempt at a settlement date.
create table ledger.runs (
  run_id           text primary key,
  settlement_date  date not null references ledger.days,
  revision         integer not null,
  run_type         text not null,
  backfill_id      bigint references ledger.backfills,
  triggered_by     text,
  reason           text,
  step_before      bigint not null default 0,  -- the newest payout step when the run opened the day
  started_at       timestamptz not null,
  ended_at         timestamptz,
  outcome          text
);
create index on ledger.runs (settlement_date);
create index on ledger.runs (backfill_id) where backfill_id is not null;

-- ------------------------------------------------------------------------------------------- what a day computed

-- One row per receipt (or receipt undone) that a run has taken: where it stands now.
create table ledger.repayments (
  repayment_id           text collate "C" primary key,
  loan_id                text not null,
  currency               text not null,
  received_at            timestamptz not null,
  amount                 bigint not null check (amount > 0),
  reverses_repayment_id  text collate "C",
  state                  text not null check (state in ('quarantined', 'settled', 'cancelled')),
  window_on              date not null,       -- the settlement date in whose window it came
  taken_on               date not null,       -- the settlement date of the first run that took it
  settled_on             date,                -- the settlement date of the run that settled it
  is_extracted           boolean not null,    -- its money stands in the ledger
  reversed_by            text collate "C",    -- the reversal that undid it
  check ((state = 'settled') = (settled_on is not null))
);
create index on ledger.repayments (loan_id);
create index on ledger.repayments (state) where state = 'quarantined';
create index on ledger.repayments (window_on);
create index on ledger.repayments using brin (taken_on) with (pages_per_range = 16);

-- One row per allocation of a repayment to a receivable; a reversal has negative rows of its own.
create table ledger.allocations (
  settlement_date  date not null,
  revision         integer not null,
  position         integer not null,          -- the order in the run
  repayment_id     text collate "C" not null,
  loan_id          text not null,
  receivable_id    text collate "C" not null,
  currency         text not null,
  component        text not null check (component in ('cost', 'late_interest', 'interest', 'principal')),
  amount           bigint not null check (amount <> 0),
  primary key (settlement_date, revision, position)
);
create index on ledger.allocations (loan_id);
create index on ledger.allocations (repayment_id);

-- One row per part of an allocation that belongs to one note: what its holder earned, and what was kept of it.
create table ledger.shares (
  settlement_date      date not null,
  revision             integer not null,
  position             integer not null,      -- of the allocation
  repayment_id         text collate "C" not null,
  loan_id              text not null,
  receivable_id        text collate "C" not null,
  note_id              text collate "C" not null,
  investor_id          text collate "C" not null,
  currency             text not null,
  component            text not null,
  gross_amount         bigint not null,
  fee_amount           bigint not null,
  vat_amount           bigint not null,
  national_tax_amount  bigint not null,
  local_tax_amount     bigint not null,
  net_amount           bigint not null,
  primary key (position, note_id, settlement_date, revision),  -- what tells rows of a leaf apart comes first
  constraint shares_are_not_empty check (gross_amount <> 0),
  constraint shares_add_up check (
    gross_amount = net_amount + fee_amount + vat_amount + national_tax_amount + local_tax_amount)
) partition by range (settlement_date, revision);
-- Shares are written in the order of their loans, so a block range index finds a loan's and costs next to nothing.
create index on ledger.shares using brin (loan_id) with (pages_per_range = 16);

-- One row per change of a held credit: positive when money comes to be held, negative when it is taken or undone.
create table ledger.credits (
  settlement_date  date not null,
  revision         integer not null,
  position         integer not null,
  loan_id          text not null,
  repayment_id     text collate "C" not null,
  currency         text not null,
  amount           bigint not null check (amount <> 0),
  event            text not null check (event in ('held', 'applied', 'taken_back')),
  primary key (settlement_date, revision, position)
);
create index on ledger.credits (loan_id);
create index on ledger.credits (repayment_id);

-- One row per refused repayment and the run that refused it first; released when a later run takes it after all.
create table ledger.quarantine (
  settlement_date  date not null,
  revision         integer not null,
  loan_id          text not null,
  repayment_id     text collate "C" not null,
  currency         text not null,
  amount           bigint not null,
  rule             text not null,
  evidence         jsonb not null,
  released_on      date,
  primary key (settlement_date, revision, repayment_id)
);
create index on ledger.quarantine (repayment_id);

-- ----------------------------------------------------------------------------------------------- the journal

create table ledger.entries (
  entry_id           bigint generated by default as identity primary key,
  settlement_date    date not null,
  revision           integer not null,
  recorded_at        timestamptz not null,
  event              text not null check (event in (
    'opening', 'repayment_extracted', 'repayment_distributed', 'credit_applied', 'repayment_reversed',
    'payout_prepared', 'payout_rejected', 'payout_returned', 'line_matched', 'line_suspended', 'suspense_resolved',
    'tolerance_booked', 'written_off', 'bank_charge', 'bank_interest', 'remitted')),
  currency           text not null,
  repayment_id       text collate "C",
  payout_id          text,
  line_id            text,
  reverses_entry_id  bigint unique references ledger.entries   -- an entry is reversed at most once
);
create index on ledger.entries (settlement_date, revision);
create index on ledger.entries (repayment_id);
create index on ledger.entries (payout_id);
create index on ledger.entries (line_id);
-- A payout takes its money once, and gives it back at most once; a second posting of either is a bug, not a fact.
create unique index on ledger.entries (payout_id) where event = 'payout_prepared';
create unique index on ledger.entries (payout_id) where event in ('payout_rejected', 'payout_returned');

-- One row per leg of an entry. `part` 0 takes what is posted one by one, part r what revision r posted in bulk.
create table ledger.postings (
  settlement_date  date not null,
  part             integer not null,
  entry_id         bigint not null,
  account          text collate "C" not null,
  currency         text not null,
  amount           bigint not null,
  constraint postings_are_not_empty check (amount <> 0)
) partition by range (settlement_date, part);
create index on ledger.postings (entry_id);
create index on ledger.postings (account);

-- One row per account and currency: the sum of its postings, kept by the database itself.
create table ledger.balances (
  account   text collate "C" not null,
  currency  text not null,
  amount    bigint not null,
  primary key (account, currency)
);

create function ledger.leaf_name(parent regclass, on_date date, part integer) returns text language sql stable as $$
  select format('%s_%s_%s', relname, to_char(on_date, 'YYYYMMDD'), part) from pg_class where oid = parent
$$;

-- The partition for what is posted one by one.
create function ledger.ensure_partition(parent regclass, on_date date, part integer) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare leaf text := ledger.leaf_name(parent, on_date, part);
begin
  if to_regclass('ledger.' || leaf) is null then
    execute format('create table ledger.%I partition of %s for values from (%L, %s) to (%L, %s)',
                   leaf, parent, on_date, part, on_date, part + 1);
    if parent = 'ledger.postings'::regclass then
      execute format('create trigger whole_entries after insert on ledger.%I referencing new table as posted
                      for each statement execute function ledger.check_and_total_postings()', leaf);
    end if;
  end if;
  return leaf;
end $$;

-- For bulk: a bare table that COPY fills, and then, in the same transaction, its attachment with all constraints.
-- Millions of rows are sorted and summed there once a day, so it may take memory for it while it lasts.
create function ledger.open_leaf(parent regclass, on_date date, part integer) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare leaf text := ledger.leaf_name(parent, on_date, part);
begin
  execute format('create table ledger.%I (like %s including defaults including constraints)', leaf, parent);
  execute format('grant insert on ledger.%I to settlement_app', leaf);
  return leaf;
end $$;

create function ledger.attach_leaf(parent regclass, on_date date, part integer) returns void
language plpgsql security definer set search_path = ledger, pg_temp set work_mem = '256MB'
set maintenance_work_mem = '512MB' as $$
declare leaf text := ledger.leaf_name(parent, on_date, part);
begin
  execute format('revoke insert on ledger.%I from settlement_app', leaf);
  if parent = 'ledger.postings'::regclass then
    perform ledger.check_and_total_leaf(leaf);
    execute format('create trigger whole_entries after insert on ledger.%I referencing new table as posted
                    for each statement execute function ledger.check_and_total_postings()', leaf);
  end if;
  execute format('alter table %s attach partition ledger.%I for values from (%L, %s) to (%L, %s)',
                 parent, leaf, on_date, part, on_date, part + 1);
end $$;

create function ledger.check_and_total_leaf(leaf text) returns void
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  execute format('select p.entry_id, sum(p.amount) as total from ledger.%I p left join ledger.entries e using (entry_id)
                   group by p.entry_id
                  having sum(p.amount) <> 0 or bool_or(e.entry_id is null) or bool_or(e.currency <> p.currency) limit 1',
                 leaf) into wrong;
  if wrong.entry_id is not null then
    raise exception 'Entry [%] does not balance: its postings sum to [%]', wrong.entry_id, wrong.total
      using errcode = 'integrity_constraint_violation';
  end if;
  execute format('insert into ledger.balances as b (account, currency, amount)
                  select account, currency, sum(amount) from ledger.%I group by account, currency
                  on conflict (account, currency) do update set amount = b.amount + excluded.amount', leaf);
end $$;
revoke all on function ledger.check_and_total_leaf(text) from public;

-- Every statement that posts must post whole entries: each sums to zero in its one currency, names an entry that
-- exists, and leaves no investor with less than nothing because of a payout.
create function ledger.check_and_total_postings() returns trigger language plpgsql security definer
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
  select b.account, b.amount into wrong
    from posted p join ledger.entries e using (entry_id)
    join ledger.balances b on b.account = p.account and b.currency = p.currency
   where e.event = 'payout_prepared' and p.amount > 0 and b.amount > 0 limit 1;
  if found then
    raise exception 'Payout above the balance: [%] would stand at [%]', wrong.account, wrong.amount
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
create trigger whole_entries after insert on ledger.postings
  referencing new table as posted for each statement execute function ledger.check_and_total_postings();

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'ledger.% only grows: % is refused', tg_table_name, tg_op using errcode = 'integrity_constraint_violation';
end $$;
create trigger only_grows before update or delete or truncate on ledger.entries
  for each statement execute function ledger.refuse_change();
create trigger only_grows before update or delete on ledger.postings
  for each statement execute function ledger.refuse_change();
create trigger only_grows before update or delete on ledger.shares
  for each statement execute function ledger.refuse_change();
create trigger only_grows before update or delete or truncate on ledger.allocations
  for each statement execute function ledger.refuse_change();

-- ------------------------------------------------------------------------------------------------- payouts

create table ledger.payout_files (
  file_id         text primary key check (length(file_id) <= 35),
  settlement_date date not null references ledger.days,
  currency        text not null,
  payment_count   integer not null,
  amount          bigint not null,
  content         bytea not null,
  sha256          text not null,
  created_at      timestamptz not null,
  sent_at         timestamptz,               -- the first time the bank was called with it
  state           text not null default 'prepared'
                  check (state in ('prepared', 'submitted', 'received', 'rejected', 'unknown')),
  rejections      text[] not null default '{}',  -- the bank's reports that reject it whole, by their ids
  duplicates      text[] not null default '{}'   -- the bank's reports that it has this file already, by their ids
);

create table ledger.payouts (
  payout_id        text primary key,
  settlement_date  date not null references ledger.days,
  revision         integer not null,
  investor_id      text collate "C" not null,
  currency         text not null,
  chunk            integer not null check (chunk > 0),
  attempt          integer not null check (attempt > 0),
  amount           bigint not null check (amount > 0),
  state            text not null default 'prepared',
  end_to_end_id    text not null unique check (length(end_to_end_id) <= 35),
  file_id          text references ledger.payout_files,
  payee_name       text not null,            -- personal data: kept here, shown nowhere
  payee_account    text not null,
  payee_bank       text,
  bank_reason      text,
  prepared_at      timestamptz not null,
  submitted_at     timestamptz,
  booked_on        date,
  run_id           text not null,
  unique (settlement_date, revision, investor_id, currency, chunk, attempt)
);
-- In its place (day, revision, investor, currency, chunk) at most one payout lives: the next attempt needs the proof
-- that the former one was rejected or returned.
create unique index one_living_attempt on ledger.payouts (settlement_date, revision, investor_id, currency, chunk)
  where state not in ('rejected', 'returned');
create index on ledger.payouts (investor_id, currency, prepared_at);
create index on ledger.payouts (currency) where state = 'returned' and booked_on is null;
create index on ledger.payouts (investor_id, currency) where state = 'returned';
create index on ledger.payouts (state) where state not in ('booked', 'rejected', 'returned');
create index on ledger.payouts (file_id);

-- The state machine of a payout, as data: a step that is not in here does not happen.
create table ledger.payout_steps (from_state text, to_state text, primary key (from_state, to_state));
insert into ledger.payout_steps values
  ('prepared', 'approved'), ('prepared', 'rejected'),
  ('approved', 'submitted'), ('approved', 'rejected'),
  ('submitted', 'accepted'), ('submitted', 'rejected'), ('submitted', 'unknown'), ('submitted', 'booked'), ('submitted', 'returned'),
  ('unknown', 'accepted'), ('unknown', 'rejected'), ('unknown', 'booked'), ('unknown', 'returned'),
  ('accepted', 'booked'), ('accepted', 'rejected'), ('accepted', 'returned'),
  ('booked', 'returned');

-- One row per step that a payout took: when, why, and what proves it. Inserting it is what moves the payout.
create table ledger.payout_history (
  payout_id   text not null references ledger.payouts,
  step        integer generated always as identity,
  from_state  text not null,
  to_state    text not null,
  at          timestamptz not null,
  cause       text not null,
  evidence    jsonb not null default '{}',
  primary key (payout_id, step),
  foreign key (from_state, to_state) references ledger.payout_steps
);
create function ledger.take_payout_steps() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare
  moved integer;
  wrong record;
begin
  update ledger.payouts p set state = s.to_state,
         bank_reason = coalesce(s.evidence ->> 'bank_reason', p.bank_reason),
         submitted_at = case when s.to_state = 'submitted' then s.at else p.submitted_at end,
         booked_on = case when s.to_state = 'booked' then (s.evidence ->> 'booked_on')::date else p.booked_on end
    from steps s where p.payout_id = s.payout_id and p.state = s.from_state;
  get diagnostics moved = row_count;
  if moved <> (select count(*) from steps) then
    select payout_id, s.from_state, max(s.to_state) as to_state into wrong
      from steps s join ledger.payouts p using (payout_id)
     group by payout_id, s.from_state having count(*) > 1 or bool_and(p.state <> s.to_state) limit 1;
    raise exception 'Payout [%] is not [%]: it cannot become [%]', wrong.payout_id, wrong.from_state, wrong.to_state
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
create trigger take_payout_steps after insert on ledger.payout_history
  referencing new table as steps for each statement execute function ledger.take_payout_steps();
create function ledger.guard_payout() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or (new.state <> old.state and pg_trigger_depth() < 2)
     or (new.payout_id, new.settlement_date, new.revision, new.investor_id, new.currency, new.amount, new.end_to_end_id,
         new.payee_account) is distinct from
        (old.payout_id, old.settlement_date, old.revision, old.investor_id, old.currency, old.amount, old.end_to_end_id,
         old.payee_account)
     or (old.file_id is not null and new.file_id is distinct from old.file_id) then
    raise exception 'Payout [%] changes only by a step in ledger.payout_history', old.payout_id
      using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create trigger guard_payout before update or delete on ledger.payouts
  for each row execute function ledger.guard_payout();

-- One row per handing-over of a file to the bank, written and committed before the bank is called. Without an outcome:
-- nobody lived to hear the answer, so it may have arrived.
create table ledger.transmissions (
  file_id      text not null references ledger.payout_files,
  number       integer not null check (number > 0),
  run_id       text,                         -- null: an inquiry
  started_at   timestamptz not null,
  outcome      text check (outcome in ('received', 'refused', 'duplicate', 'not_sent', 'unknown')),
  answered_at  timestamptz,
  status_code  integer,
  reason       text,
  said         text,
  answer       bytea,                        -- what came back, byte for byte
  sha256       text,
  primary key (file_id, number),
  check ((outcome is null) = (answered_at is null))
);
-- A file leaves only while all of its payouts wait for the bank: none is undecided, none has its money back already.
create function ledger.guard_transmission() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  if tg_op = 'UPDATE' then
    if old.outcome is not null or (new.file_id, new.number, new.started_at) is distinct from
                                  (old.file_id, old.number, old.started_at) then
      raise exception 'Transmission [%] of file [%] was answered before', old.number, old.file_id
        using errcode = 'integrity_constraint_violation';
    end if;
    return new;
  end if;
  select payout_id, state into wrong from ledger.payouts
   where file_id = new.file_id and state not in ('submitted', 'unknown') limit 1;
  if found then
    raise exception 'File [%] cannot leave: its payout [%] is [%]', new.file_id, wrong.payout_id, wrong.state
      using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create trigger guard_transmission before insert or update on ledger.transmissions
  for each row execute function ledger.guard_transmission();

-- One row per account that the bank refused for good, until the source names another one.
create table ledger.refused_accounts (
  investor_id    text collate "C" not null,
  payee_account  text not null,
  payee_bank     text not null default '',
  reason         text not null,
  refused_at     timestamptz not null,
  payout_id      text not null references ledger.payouts,
  primary key (investor_id, payee_account, payee_bank)
);

-- One row per investor and currency whose balance is owed but not paid now, and why. Written anew by every preparation.
create table ledger.holds (
  investor_id  text collate "C" not null,
  currency     text not null,
  amount       bigint not null,
  reason       text not null check (reason in ('frozen', 'no_account', 'account_refused', 'below_minimum', 'no_channel')),
  since        date not null,
  primary key (investor_id, currency)
);

-- One row per question put to a second person; it binds to the hash of exactly these payouts.
create table ledger.approvals (
  approval_id      text primary key,
  settlement_date  date not null references ledger.days,
  revision         integer not null,
  payouts_sha256   text not null,
  payout_count     integer not null,
  amounts          jsonb not null,
  requested_at     timestamptz not null,
  expires_at       timestamptz not null,
  decision         text check (decision in ('approved', 'rejected', 'expired', 'not_needed', 'superseded')),
  decided_by       text,
  decided_at       timestamptz,
  reason           text
);

-- One row per objection of the gate before money moves, and who answered for it. Bound to what it said, word for word.
create table ledger.objections (
  settlement_date  date not null references ledger.days,
  control          text not null,
  said             text not null,
  raised_at        timestamptz not null,
  run_id           text not null,
  overridden_by    text check (overridden_by <> ''),
  reason           text check (reason <> ''),
  overridden_at    timestamptz,
  primary key (settlement_date, control, said),
  check ((overridden_by is null) = (overridden_at is null) and (reason is null) = (overridden_by is null))
);

-- ---------------------------------------------------------------------------------------------- what the bank says

-- One row per message, byte for byte, sent or received, identified by its content.
create table ledger.bank_messages (
  sha256       text primary key,
  direction    text not null check (direction in ('in', 'out')),
  kind         text not null,
  name         text not null,
  content      bytea not null,
  recorded_at  timestamptz not null,
  state        text not null default 'new' check (state in ('new', 'applied', 'refused', 'foreign')),
  refusal      text                             -- foreign: of an account that is not ours
);
create index on ledger.bank_messages (state) where state = 'new';

create table ledger.statements (
  statement_id  text primary key,
  sha256        text not null references ledger.bank_messages,
  account       text not null,
  currency      text not null,
  sequence      bigint,
  business_date date not null,
  opening       bigint not null,
  closing       bigint not null,
  line_count    integer not null,
  content_key   text not null unique,         -- what it says, whatever it is called
  applied_at    timestamptz not null,
  position      bigint generated always as identity
);
create index on ledger.statements (account, business_date);

create table ledger.statement_lines (
  line_id        text primary key,
  statement_id   text not null references ledger.statements,
  booking_date   date not null,
  value_date     date,
  amount         bigint not null check (amount <> 0),
  currency       text not null,
  end_to_end_id  text,
  reference      text,
  remittance     text,
  bank_code      text,
  is_return      boolean not null default false,
  reason         text,
  state          text not null default 'open' check (state in ('open', 'matched', 'suspended'))
);
create index on ledger.statement_lines (state) where state <> 'matched';
create index on ledger.statement_lines (statement_id);

-- One row per pair of a line and what it is. A line is matched once, a receipt, payout or return is matched once.
create table ledger.matches (
  line_id       text not null references ledger.statement_lines,
  subject_kind  text not null check (subject_kind in ('receipt', 'receipt_undone', 'payout', 'payout_return', 'account')),
  subject_id    text collate "C" not null,
  amount        bigint not null,
  rule          text not null,
  explanation   text not null,
  matched_at    timestamptz not null,
  primary key (line_id, subject_kind, subject_id)
);
create unique index one_line_per_subject on ledger.matches (subject_kind, subject_id) where subject_kind <> 'account';

-- ------------------------------------------------------------------------------------------------------- breaks

create table ledger.breaks (
  break_id           bigint generated always as identity primary key,
  cause              text not null,
  side               text not null check (side in ('ours', 'bank', 'source')),
  opened_on          date not null,
  age_business_days  integer not null default 0,
  currency           text,
  amount             bigint,
  subject_kind       text not null,
  subject_id         text not null,
  evidence           jsonb not null default '{}',
  state              text not null default 'open' check (state in ('open', 'assigned', 'resolved', 'written_off')),
  owner              text,
  comment            text,
  due_on             date,
  resolved_on        date,
  resolution         text,
  check ((state in ('resolved', 'written_off')) = (resolved_on is not null))
);
create unique index one_open_break_per_subject on ledger.breaks (cause, subject_kind, subject_id) where state in ('open', 'assigned');

create table ledger.break_history (
  break_id  bigint not null references ledger.breaks,
  step      integer generated always as identity,
  at        timestamptz not null,
  by        text not null,
  what      text not null,
  primary key (break_id, step)
);

-- --------------------------------------------------------------------------------------------------- reporting

create view reporting.settlement_days_all_revisions as
select d.settlement_date, t.currency, r.revision, d.state, r.policy_name, r.policy_sha256, r.input_sha256, r.output_sha256,
       t.repayment_count, t.received_amount, t.distributed_amount, t.fee_amount, t.vat_amount, t.national_tax_amount,
       t.local_tax_amount, t.cost_amount, t.credit_amount, t.quarantined_amount, d.settled_at, d.closed_at
  from ledger.days d
  left join ledger.revisions r on r.settlement_date = d.settlement_date
  left join ledger.day_totals t on t.settlement_date = r.settlement_date and t.revision = r.revision;

create view reporting.settlement_days as
select v.* from reporting.settlement_days_all_revisions v join ledger.days d using (settlement_date)
 where v.revision = d.revision or v.revision is null;

create view reporting.runs as
select run_id, settlement_date, revision, run_type, triggered_by, reason, started_at, ended_at, outcome from ledger.runs;

create view reporting.allocations_all_revisions as
select settlement_date, revision, repayment_id, receivable_id, currency, component, amount from ledger.allocations;

create view reporting.allocations as
select a.settlement_date, a.revision, a.repayment_id, a.receivable_id, a.currency, a.component, a.amount
  from ledger.allocations a join ledger.days d on d.settlement_date = a.settlement_date and d.revision = a.revision;

create view reporting.shares_all_revisions as
select settlement_date, revision, repayment_id, receivable_id, note_id, investor_id, currency, component, gross_amount,
       fee_amount, vat_amount, national_tax_amount, local_tax_amount, net_amount from ledger.shares;

create view reporting.shares as
select s.settlement_date, s.revision, s.repayment_id, s.receivable_id, s.note_id, s.investor_id, s.currency, s.component,
       s.gross_amount, s.fee_amount, s.vat_amount, s.national_tax_amount, s.local_tax_amount, s.net_amount
  from ledger.shares s join ledger.days d on d.settlement_date = s.settlement_date and d.revision = s.revision;

create view reporting.quarantine as
select settlement_date, revision, loan_id, repayment_id, currency, amount, rule, evidence, released_on from ledger.quarantine;

create view reporting.journal as
select e.entry_id, e.settlement_date, e.revision, e.recorded_at, e.event, p.account, p.currency, p.amount, e.repayment_id,
       e.payout_id, e.line_id, e.reverses_entry_id
  from ledger.entries e join ledger.postings p on p.entry_id = e.entry_id;

create view reporting.balances as select account, currency, amount from ledger.balances where amount <> 0;

create view reporting.payouts as
select payout_id, settlement_date, revision, investor_id, currency, amount, state, end_to_end_id, file_id, attempt,
       bank_reason, submitted_at, booked_on from ledger.payouts;

create view reporting.held as select investor_id, currency, amount, reason from ledger.holds;

create view reporting.statement_lines as
select l.line_id, l.statement_id, l.booking_date, l.value_date, l.amount, l.currency, l.end_to_end_id, l.reference,
       l.remittance, m.matched_to, m.rule
  from ledger.statement_lines l
  left join (select line_id, string_agg(subject_kind || ':' || subject_id, ',' order by subject_kind, subject_id) as matched_to,
                    min(rule) as rule from ledger.matches group by line_id) m using (line_id);

create view reporting.breaks as
select break_id, cause, side, opened_on, age_business_days, currency, amount, subject_kind, subject_id, state, owner,
       resolved_on, resolution from ledger.breaks;
