-- The alerts: written in the transaction of what they tell of, delivered by whoever comes by.

-- One row per thread and channel: the lock that a sender holds, and when the next one may try.
-- A sender locks it `for no key update`, which lets writers add alerts to a thread that is being sent.
create table ledger.alert_roots (
  root_id          bigint generated always as identity primary key,
  thread           text not null,
  channel          text not null,
  settlement_date  date,
  next_try_at      timestamptz not null default 'epoch',
  failures         integer not null default 0 check (failures >= 0),
  unique (thread, channel)
);

-- One row per event and channel. `kind` root: the first message of the thread, edited in place; reply; file.
-- `version` grows with what is to be shown, `sent_version` is what Slack shows. `uncertain_since` is set, and
-- committed, before a message is posted and cleared by a clear answer: where it stands, Slack must be asked first.
create table ledger.alert_outbox (
  alert_id         bigint generated always as identity primary key,
  root_id          bigint not null references ledger.alert_roots,
  kind             text not null check (kind in ('root', 'reply', 'file')),
  settlement_date  date,
  event            text not null,
  severity         text not null check (severity in ('info', 'warning', 'critical')),
  channel          text not null,
  dedupe_key       text not null,
  problem_key      text not null,
  group_key        text,
  leader_id        bigint references ledger.alert_outbox,
  payload          jsonb not null,
  state            text not null default 'pending' check (state in ('pending', 'delivered', 'suppressed', 'failed')),
  created_at       timestamptz not null,
  delivered_at     timestamptz,
  resolved_at      timestamptz,
  repeat_at        timestamptz,
  repeats          integer not null default 0 check (repeats between 0 and 6),
  emailed_at       timestamptz,
  version          integer not null default 1 check (version > 0),
  sent_version     integer not null default 0,
  attempts         integer not null default 0,
  last_error       text,
  uncertain_since  timestamptz,
  message_ts       text,
  file_ref         text,
  constraint one_message_per_key_and_channel unique (dedupe_key, channel),
  constraint delivered_is_shown check (state <> 'delivered' or delivered_at is not null),
  constraint sent_is_not_ahead check (sent_version between 0 and version)
);
create unique index one_root_per_thread on ledger.alert_outbox (root_id) where kind = 'root';
create index alerts_to_send on ledger.alert_outbox (root_id, alert_id) where state = 'pending';
create index alerts_to_repeat on ledger.alert_outbox (repeat_at) where repeat_at is not null;
create index alerts_to_mail on ledger.alert_outbox (created_at)
  where message_ts is null and emailed_at is null and state in ('pending', 'failed');
create index alerts_failed on ledger.alert_outbox (alert_id) where state = 'failed';
create index alerts_of_a_day on ledger.alert_outbox (settlement_date, alert_id);
create index alerts_of_a_group on ledger.alert_outbox (root_id, group_key) where group_key is not null;
create index alerts_of_failures on ledger.alert_outbox (channel) where event = 'task.failed';
create index alerts_open on ledger.alert_outbox (root_id, event) where resolved_at is null;
create index alerts_led on ledger.alert_outbox (leader_id) where leader_id is not null;

-- One row per file that goes into a thread, kept until somebody clears it out.
create table ledger.alert_files (
  alert_id   bigint primary key references ledger.alert_outbox on delete cascade,
  file_name  text not null,
  title      text not null,
  content    bytea not null
);

-- One row per attempt to deliver, with what came of it.
create table ledger.alert_attempts (
  attempt_id   bigint generated always as identity primary key,
  alert_id     bigint not null references ledger.alert_outbox on delete cascade,
  attempted_at timestamptz not null default clock_timestamp(),
  method       text not null,
  outcome      text not null check (outcome in ('done', 'found', 'limited', 'unknown', 'refused')),
  error        text
);
create index on ledger.alert_attempts (alert_id);

-- One row per event and channel. A thread's root that only holds the place of a day that has not begun is no event.
create view reporting.alerts as
select alert_id, settlement_date, event, severity, channel, dedupe_key, state, created_at, delivered_at, attempts,
       last_error
  from ledger.alert_outbox
 where event <> 'thread';
