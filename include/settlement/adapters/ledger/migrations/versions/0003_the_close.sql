-- Reconciliation and the close of the day.

-- ------------------------------------------------------------------------------------------ what the bank says

-- Of a message that was refused: the statement it would have been, and the money that it does not explain.
alter table ledger.bank_messages add column statement_id text, add column difference bigint;

alter table ledger.statement_lines
  add column bank_reference        text,
  add column file_id               text,              -- the payment file that the line names
  add column counterparty_account  text,              -- personal data: for matching, shown nowhere
  add column transaction_count     integer not null default 1,
  add column is_reversal           boolean not null default false,
  add column is_charge             boolean not null default false;

-- A match may hold several lines and several subjects; each row is the part of a line that pays a subject, and what of
-- a tolerated difference it clears besides. A line and a subject are each in one match at most.
alter table ledger.matches
  add column match_id    text,
  add column difference  bigint not null default 0,
  add column matched_by  text not null default 'settlement';
update ledger.matches set match_id = line_id;
alter table ledger.matches alter column match_id set not null;
drop index ledger.one_line_per_subject;
create index on ledger.matches (subject_kind, subject_id);
create function ledger.check_matched_once() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select m.line_id into wrong from ledger.matches m join matched using (line_id)
   where m.match_id <> matched.match_id limit 1;
  if found then
    raise exception 'Line [%] is matched already', wrong.line_id using errcode = 'integrity_constraint_violation';
  end if;
  select m.subject_kind, m.subject_id into wrong from ledger.matches m join matched using (subject_kind, subject_id)
   where m.match_id <> matched.match_id and m.subject_kind <> 'account' limit 1;
  if found then
    raise exception '% [%] is matched already', wrong.subject_kind, wrong.subject_id
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
create trigger matched_once after insert on ledger.matches
  referencing new table as matched for each statement execute function ledger.check_matched_once();

-- ------------------------------------------------------------------------------------------------------- breaks

-- One row per thing that a person decided about a break. Above the policy's limit it waits for a second person.
create table ledger.break_decisions (
  decision_id   bigint generated always as identity primary key,
  break_id      bigint not null references ledger.breaks,
  kind          text not null check (kind in ('match', 'write_off', 'book')),
  target        text not null,                   -- the subject matched with, or the account booked to
  amount        bigint not null,
  currency      text not null,
  reason        text not null check (reason <> ''),
  requested_by  text not null check (requested_by <> ''),
  requested_at  timestamptz not null,
  needs_second  boolean not null,
  decided_by    text check (decided_by <> ''),
  decided_at    timestamptz,
  check ((decided_by is null) = (decided_at is null)),
  constraint four_eyes check (not needs_second or decided_by is null or decided_by <> requested_by)
);
create unique index one_waiting_decision on ledger.break_decisions (break_id) where decided_at is null;

-- -------------------------------------------------------------------------------------------------- certificates

-- One row per closed revision of a day, chained: `body` holds the hash of the one before it. `body` is canonical JSON.
create table ledger.certificates (
  number           integer primary key check (number > 0),
  settlement_date  date not null references ledger.days,
  revision         integer not null,
  body             text not null,
  sha256           text not null unique,
  issued_at        timestamptz not null,
  unique (settlement_date, revision)
);

-- One row per sealed row (or per allocation, with its shares; per entry, with its postings): the hashes that the
-- certificate's own hash covers, six bytes for each row that the key stands for.
create table ledger.seals (
  number      integer not null references ledger.certificates deferrable initially deferred,
  table_name  text not null,
  key         text collate "C" not null,
  hashes      bytea not null,
  primary key (table_name, key)
);
create index on ledger.seals (number);

create trigger only_grows before update or delete or truncate on ledger.certificates
  for each statement execute function ledger.refuse_change();
create trigger only_grows before update or delete or truncate on ledger.seals
  for each statement execute function ledger.refuse_change();
create trigger only_grows before update or delete or truncate on ledger.matches
  for each statement execute function ledger.refuse_change();
