-- What the past has come to is kept, not summed: a day reads the positions of its own loans and one row for each window,
-- however many days were settled before it.

-- One row per loan and date that moves it as the books stand: what was repaid of its notes and paid on its receivables by
-- then. What is in no array was paid nothing. A position before a date is the newest row before it. A loan that is run
-- again loses its rows from the first such date on and gets new ones.
create table ledger.positions (
  loan_id          text collate "C" not null,
  settlement_date  date not null,
  note_ids         text[] not null,
  repaid           bigint[] not null,
  receivable_ids   text[] not null,
  allocated        bigint[] not null,
  primary key (loan_id, settlement_date),
  constraint each_id_has_its_amount check (
    cardinality(note_ids) = cardinality(repaid) and cardinality(receivable_ids) = cardinality(allocated))
);

-- What was settled before this.
with moved as (
  select loan_id, settlement_date, 'note' as kind, note_id as id, sum(gross_amount)::bigint as amount
    from ledger.shares
    join ledger.days using (settlement_date, revision)
   where component = 'principal'
   group by loan_id, settlement_date, note_id
  union all
  select loan_id, settlement_date, 'receivable', receivable_id, sum(amount)::bigint
    from ledger.allocations
    join ledger.days using (settlement_date, revision)
   group by loan_id, settlement_date, receivable_id
),
dates as (
  select distinct loan_id, settlement_date from moved
),
summed as (
  select d.loan_id, d.settlement_date, m.kind, m.id, sum(m.amount)::bigint as amount
    from dates d
    join moved m on m.loan_id = d.loan_id and m.settlement_date <= d.settlement_date
   group by d.loan_id, d.settlement_date, m.kind, m.id
)
insert into ledger.positions (loan_id, settlement_date, note_ids, repaid, receivable_ids, allocated)
select loan_id, settlement_date,
       coalesce(array_agg(id order by id collate "C") filter (where kind = 'note' and amount <> 0), '{}'),
       coalesce(array_agg(amount order by id collate "C") filter (where kind = 'note' and amount <> 0), '{}'),
       coalesce(array_agg(id order by id collate "C") filter (where kind = 'receivable' and amount <> 0), '{}'),
       coalesce(array_agg(amount order by id collate "C") filter (where kind = 'receivable' and amount <> 0), '{}')
  from summed
 group by loan_id, settlement_date;

-- What was taken of each window is counted as it comes, so that no run counts all of it again.

-- A number that a receipt has and that changes with anything of it. The source's query `windows` computes the same one of
-- its rows; a server that hashes otherwise has other numbers, and then its windows are only read row by row.
create function ledger.number_of_receipt(repayment_id text, loan_id text, amount bigint, received_at timestamptz,
                                         reverses_repayment_id text) returns bigint
language sql immutable parallel safe as $$
  select hashtextextended(repayment_id collate "C",
           hashtextextended(loan_id collate "C",
             hashtextextended(coalesce(reverses_repayment_id, '') collate "C",
               hashint8extended(amount,
                 timestamp_hash_extended(received_at at time zone 'UTC', 0)))))
$$;

-- One row per window of which something was ever taken: how many receipts, and the sum of their numbers.
create table ledger.windows_taken (
  window_on  date primary key,
  receipts   bigint not null,
  digest     numeric not null
);

create function ledger.count_taken() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  insert into ledger.windows_taken as w (window_on, receipts, digest)
  select window_on, count(*),
         sum(ledger.number_of_receipt(repayment_id, loan_id, amount, received_at, reverses_repayment_id))
    from added
   where state <> 'untaken'
   group by window_on
   order by window_on
      on conflict (window_on) do update
     set receipts = w.receipts + excluded.receipts, digest = w.digest + excluded.digest;
  return null;
end $$;

-- Few updates change anything that is counted: those that only say where a receipt stands by now are left out.
create function ledger.count_taken_again() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  insert into ledger.windows_taken as w (window_on, receipts, digest)
  select window_on, sum(sign),
         sum(sign * ledger.number_of_receipt(repayment_id, loan_id, amount, received_at, reverses_repayment_id)::numeric)
    from (select c.sign, c.window_on, c.repayment_id, c.loan_id, c.amount, c.received_at, c.reverses_repayment_id
            from removed r
            join added a using (repayment_id)
           cross join lateral (
             values (-1, r.window_on, r.repayment_id, r.loan_id, r.amount, r.received_at, r.reverses_repayment_id, r.state),
                    (1, a.window_on, a.repayment_id, a.loan_id, a.amount, a.received_at, a.reverses_repayment_id, a.state))
             as c (sign, window_on, repayment_id, loan_id, amount, received_at, reverses_repayment_id, state)
           where c.state <> 'untaken'
             and (r.window_on, r.loan_id, r.amount, r.received_at, r.reverses_repayment_id, r.state = 'untaken')
                 is distinct from
                 (a.window_on, a.loan_id, a.amount, a.received_at, a.reverses_repayment_id, a.state = 'untaken')) changed
   group by window_on
   order by window_on
      on conflict (window_on) do update
     set receipts = w.receipts + excluded.receipts, digest = w.digest + excluded.digest;
  return null;
end $$;
revoke all on function ledger.count_taken(), ledger.count_taken_again() from public;
create trigger count_taken after insert on ledger.repayments
  referencing new table as added for each statement execute function ledger.count_taken();
create trigger count_taken_again after update on ledger.repayments
  referencing old table as removed new table as added for each statement execute function ledger.count_taken_again();

insert into ledger.windows_taken (window_on, receipts, digest)
select window_on, count(*),
       sum(ledger.number_of_receipt(repayment_id, loan_id, amount, received_at, reverses_repayment_id))
  from ledger.repayments
 where state <> 'untaken'
 group by window_on;
