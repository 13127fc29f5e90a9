-- What the bank did with a payout is kept, and its state follows from all of it, whatever the order in which it came.

-- One row per thing that became known of a payout and is no statement line: who or what said it, once each.
create table ledger.payout_facts (
  payout_id    text not null references ledger.payouts,
  kind         text not null check (kind in (
    'withdrawn',          -- we never handed it over, and will not
    'refused',            -- the bank did not pay it, which is proven of every transmission that may have arrived
    'absent',             -- two people say, after asking the bank, that it did not
    'return_announced',   -- the bank gives it back, or has given it back
    'debit_explained',    -- a debit of it is something else: a person booked the line elsewhere
    'credit_explained')), -- a credit likewise
  source       text not null,                 -- the id of a report or return, a line, a file, or who
  amount       bigint,                        -- of a return, what the bank says comes back; of a line its own
  recorded_at  timestamptz not null,
  said         jsonb not null default '{}',
  primary key (payout_id, kind, source)
);
create trigger only_grows before update or delete or truncate on ledger.payout_facts
  for each statement execute function ledger.refuse_change();

insert into ledger.payout_facts (payout_id, kind, source, amount, recorded_at, said)
select p.payout_id,
       case when h.to_state = 'returned' then 'return_announced'
            when h.from_state in ('prepared', 'approved') then 'withdrawn'
            when h.cause = 'declared_absent' then 'absent'
            else 'refused' end,
       coalesce(h.evidence ->> 'return_id', h.evidence ->> 'message', h.cause), p.amount, h.at, h.evidence
  from ledger.payout_history h
  join ledger.payouts p using (payout_id)
 where h.to_state = 'rejected' or h.to_state = 'returned' and h.cause = 'return';

-- A booking that comes after its end is proven moves a payout once more.
insert into ledger.payout_steps values ('rejected', 'booked'), ('rejected', 'returned'), ('returned', 'booked');

-- A payout that a bank debits, credits and debits again leaves and comes back more than once: each time is a subject.
alter table ledger.matches add column occurrence integer not null default 1 check (occurrence > 0);
create or replace function ledger.check_matched_once() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select m.line_id into wrong
    from ledger.matches m
    join ledger.statement_lines l using (line_id)
   where m.line_id in (select line_id from matched)
   group by m.line_id, l.amount
  having sum(m.amount) <> l.amount limit 1;
  if found then
    raise exception 'Line [%] is matched already, or not with all of its amount', wrong.line_id
      using errcode = 'integrity_constraint_violation';
  end if;
  select m.subject_kind, m.subject_id into wrong
    from ledger.matches m join matched using (subject_kind, subject_id, occurrence)
   where m.match_id <> matched.match_id and m.subject_kind <> 'account' limit 1;
  if found then
    raise exception '% [%] is matched already', wrong.subject_kind, wrong.subject_id
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;

-- A payout's money is with the payee once or not at all: what is given back may be taken again and given back again,
-- each by an entry that names the one that it reverses, and never twice at once.
drop index ledger.entries_payout_id_idx2;
create function ledger.check_given_back_once() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select e.payout_id, sum(case when e.reverses_entry_id is null then 1 else -1 end) as times into wrong
    from ledger.entries e
   where e.event in ('payout_rejected', 'payout_returned')
     and e.payout_id in (select payout_id from posted where event in ('payout_rejected', 'payout_returned'))
   group by e.payout_id
  having sum(case when e.reverses_entry_id is null then 1 else -1 end) not in (0, 1) limit 1;
  if found then
    raise exception 'The money of payout [%] would be given back [%] times', wrong.payout_id, wrong.times
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
create trigger given_back_once after insert on ledger.entries
  referencing new table as posted for each statement execute function ledger.check_given_back_once();

-- The next attempt needs the proof that the former one was not paid, when it is made. Proof to the contrary may come
-- later: then both are there, and the payee is overdrawn.
drop index ledger.one_living_attempt;
create function ledger.check_next_attempts() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select p.payout_id, p.state into wrong
    from made m
    join ledger.payouts p using (settlement_date, revision, investor_id, currency, chunk)
   where m.attempt > 1 and p.attempt <> m.attempt and p.state not in ('rejected', 'returned') limit 1;
  if found then
    raise exception 'Payout [%] is [%]: its next attempt needs the proof that it was not paid', wrong.payout_id, wrong.state
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
create trigger next_attempts after insert on ledger.payouts
  referencing new table as made for each statement execute function ledger.check_next_attempts();

-- A person may say that a payout is not paid, or answer for what nothing can be booked for; and a question about a break
-- whose amount moved is asked anew.
alter table ledger.break_decisions
  drop constraint break_decisions_kind_check,
  add constraint break_decisions_kind_check check (kind in ('match', 'write_off', 'book', 'absent', 'answer')),
  add column withdrawn_at timestamptz;
drop index ledger.one_waiting_decision;
create unique index one_waiting_decision on ledger.break_decisions (break_id)
  where decided_at is null and withdrawn_at is null;

-- What was written off is looked at whenever lines are matched: its line may come after all.
create index on ledger.entries (entry_id) where event = 'written_off';
