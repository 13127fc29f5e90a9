-- A bank uses the name of a statement again: next year, for another account, for every page. What tells a statement from
-- every other is its account, currency, day, name and page; `statement_id` is that name where it was free.
alter table ledger.statements
  add column bank_name text,
  add column page integer,                                   -- null: in one piece
  add column is_last boolean not null default true;          -- the day does not go on behind it
update ledger.statements set bank_name = statement_id;
alter table ledger.statements alter column bank_name set not null;

-- What a statement says is kept once: but two pages of a day may say the very same.
alter table ledger.statements drop constraint statements_content_key_key;
create unique index on ledger.statements (content_key, coalesce(page, 0));

-- What was foreign is read again when our account is called otherwise, and what became of it is kept beside it.
alter table ledger.bank_messages add column foreign_to text;  -- what our account was called when it was read
update ledger.bank_messages set foreign_to = '' where state = 'foreign';
create index on ledger.bank_messages (recorded_at) where state = 'foreign';
create table ledger.messages_read_again (
  sha256        text primary key references ledger.bank_messages,
  state         text not null check (state in ('applied', 'refused')),
  refusal       text,
  statement_id  text,
  difference    bigint,
  read_at       timestamptz not null
);
create trigger only_grows before update or delete or truncate on ledger.messages_read_again
  for each statement execute function ledger.refuse_change();
