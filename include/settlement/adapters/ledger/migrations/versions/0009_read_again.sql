-- What could not be used is read again as what was foreign is: once our account is called otherwise, the reader is another
-- one, or what it is told of the bank's columns has changed.
alter table ledger.bank_messages rename column foreign_to to read_with;  -- our names and the reader, when it was read last
alter table ledger.bank_messages
  add column first_read_at timestamptz,
  add column came_at timestamptz,     -- when it came last, or was written if that is known to be before
  add column read_as_of timestamptz;  -- what that was when it was read last
create index on ledger.bank_messages (recorded_at) where state = 'refused';
create index on ledger.bank_messages (recorded_at) where came_at > read_as_of;

-- A message may be read again more than once; a row says what it came to when that was something else than before.
alter table ledger.messages_read_again
  add column number integer not null default 1,
  drop constraint messages_read_again_pkey,
  add primary key (sha256, number),
  drop constraint messages_read_again_state_check,
  add check (state in ('applied', 'refused', 'foreign'));
