-- A settled date can be settled again. A later revision holds the loans that it ran again, and of the others the rows of
-- the revisions before it stand. Nothing that was written is changed: what a revision replaces is still there.

-- One row per date, later revision and loan that it ran again: of the loan's rows of the date only those of the newest
-- such revision stand.
create table ledger.replayed_loans (
  settlement_date  date not null,
  revision         integer not null check (revision > 1),
  loan_id          text not null,
  primary key (settlement_date, loan_id, revision),
  foreign key (settlement_date, revision) references ledger.revisions deferrable initially deferred
);
create index on ledger.replayed_loans (loan_id);
create trigger only_grows before update or delete or truncate on ledger.replayed_loans
  for each statement execute function ledger.refuse_change();

alter table ledger.revisions add column requested_by text;

-- ------------------------------------------------------------------------------------------ rows that stand

create view ledger.standing_allocations as
select x.* from ledger.allocations x
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision);

create view ledger.standing_shares as
select x.* from ledger.shares x
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision);

create view ledger.standing_credits as
select x.* from ledger.credits x
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision);

create view ledger.standing_quarantine as
select x.* from ledger.quarantine x
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision);

-- A refund is taken once as the books stand; a replay may take it on another date, and what it replaces is kept too.
alter table ledger.refunds_undone drop constraint refunds_undone_refund_id_fkey;
alter table ledger.refunds
  drop constraint refunds_pkey,
  add column number integer not null default 1 check (number > 0),
  add primary key (refund_id, number);
drop index ledger.one_standing_refusal;
create index on ledger.refused_refunds (refund_id);

create view ledger.standing_refunds as
select x.* from ledger.refunds x
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision);

create view ledger.standing_refused_refunds as
select x.* from ledger.refused_refunds x
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision);

create or replace view ledger.credit_changes as
select settlement_date, position, loan_id, repayment_id, currency, amount, event
  from ledger.standing_credits
 union all
select settlement_date, null, loan_id, repayment_id, currency, amount, 'refund_undone'
  from ledger.refunds_undone;

-- ----------------------------------------------------------------------------------- where a repayment stands

-- `stands_since` is the date that takes it first as the books stand, `ended_on` the one that settles or cancels it;
-- `taken_on` stays the first date that ever took it. Untaken: a replay found no date that takes it any more.
alter table ledger.repayments
  add column stands_since date,
  add column ended_on date,
  drop constraint repayments_state_check,
  add constraint repayments_state_check check (state in ('quarantined', 'settled', 'cancelled', 'untaken'));
update ledger.repayments r
   set stands_since = taken_on,
       ended_on = case r.state
                    when 'settled' then r.settled_on
                    when 'cancelled' then coalesce((select max(q.released_on) from ledger.quarantine q
                                                     where q.repayment_id = r.repayment_id), r.taken_on)
                  end;
alter table ledger.repayments
  alter column stands_since set not null,
  add constraint ended_where_it_is_over check ((ended_on is null) = (state in ('quarantined', 'untaken')));

-- ------------------------------------------------------------------------------------------------- the journal

-- An entry is undone by one of the same event that names it. As the books stand an entry is reversed at most once, and a
-- reversal that was undone leaves its entry free for another one.
alter table ledger.entries drop constraint entries_reverses_entry_id_key;
create index on ledger.entries (reverses_entry_id) where reverses_entry_id is not null;
create function ledger.check_reversed_once() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  if (select count(*) from ledger.entries r
       where r.reverses_entry_id = new.reverses_entry_id
         and not exists (select from ledger.entries x where x.reverses_entry_id = r.entry_id)) > 1 then
    raise exception 'Entry [%] would be reversed twice', new.reverses_entry_id
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
revoke all on function ledger.check_reversed_once() from public;
create constraint trigger reversed_once after insert on ledger.entries deferrable initially deferred
  for each row when (new.reverses_entry_id is not null) execute function ledger.check_reversed_once();

-- The entries that stand: no revision has undone them, and they undo none.
create view ledger.standing_entries as
select e.* from ledger.entries e
 where not exists (select from ledger.entries x where x.reverses_entry_id = e.entry_id and x.event = e.event)
   and not exists (select from ledger.entries u where u.entry_id = e.reverses_entry_id and u.event = e.event);

-- What a later revision adds to a date is little, and lies in one leaf for all of them.
create or replace function ledger.ensure_partition(parent regclass, on_date date, part integer) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare leaf text := ledger.leaf_name(parent, on_date, least(part, 2));
begin
  if to_regclass('ledger.' || leaf) is null then
    execute format('create table ledger.%I partition of %s for values from (%L, %s) to (%L, %s)',
                   leaf, parent, on_date, least(part, 2), on_date, case when part < 2 then (part + 1)::text else 'maxvalue' end);
    if parent = 'ledger.postings'::regclass then
      execute format('create trigger whole_entries after insert on ledger.%I referencing new table as posted
                      for each statement execute function ledger.check_and_total_postings()', leaf);
    end if;
  end if;
  return leaf;
end $$;

-- --------------------------------------------------------------------------------------------------- reporting

drop view reporting.allocations, reporting.allocations_all_revisions, reporting.shares, reporting.shares_all_revisions,
          reporting.quarantine;

create view reporting.allocations_all_revisions as
select x.settlement_date, r.revision, x.repayment_id, x.receivable_id, x.currency, x.component, x.amount
  from ledger.revisions r
  join ledger.allocations x on x.settlement_date = r.settlement_date and x.revision <= r.revision
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision
                      and n.revision <= r.revision);

create view reporting.allocations as
select x.settlement_date, d.revision, x.repayment_id, x.receivable_id, x.currency, x.component, x.amount
  from ledger.standing_allocations x join ledger.days d using (settlement_date);

create view reporting.shares_all_revisions as
select x.settlement_date, r.revision, x.repayment_id, x.receivable_id, x.note_id, x.investor_id, x.currency, x.component,
       x.gross_amount, x.fee_amount, x.vat_amount, x.national_tax_amount, x.local_tax_amount, x.net_amount
  from ledger.revisions r
  join ledger.shares x on x.settlement_date = r.settlement_date and x.revision <= r.revision
 where not exists (select from ledger.replayed_loans n
                    where n.settlement_date = x.settlement_date and n.loan_id = x.loan_id and n.revision > x.revision
                      and n.revision <= r.revision);

create view reporting.shares as
select x.settlement_date, d.revision, x.repayment_id, x.receivable_id, x.note_id, x.investor_id, x.currency, x.component,
       x.gross_amount, x.fee_amount, x.vat_amount, x.national_tax_amount, x.local_tax_amount, x.net_amount
  from ledger.standing_shares x join ledger.days d using (settlement_date);

create view reporting.quarantine as
select settlement_date, revision, loan_id, repayment_id, currency, amount, rule, evidence, released_on
  from ledger.standing_quarantine
 union all
select settlement_date, revision, loan_id, null, currency, amount, rule, evidence, released_on
  from ledger.standing_refused_refunds;

-- One row per date, revision and currency: why it was made, who asked, and what it changed; the first changed everything.
create view reporting.revisions as
select t.settlement_date, t.revision, t.currency, coalesce(r.reason, u.reason) as reason,
       coalesce(r.requested_by, u.triggered_by) as requested_by, r.computed_at,
       t.received_amount - lag(t.received_amount, 1, 0::bigint) over of_currency as received_change,
       t.distributed_amount - lag(t.distributed_amount, 1, 0::bigint) over of_currency as distributed_change,
       t.fee_amount - lag(t.fee_amount, 1, 0::bigint) over of_currency as fee_change,
       t.vat_amount - lag(t.vat_amount, 1, 0::bigint) over of_currency as vat_change,
       t.national_tax_amount - lag(t.national_tax_amount, 1, 0::bigint) over of_currency as national_tax_change,
       t.local_tax_amount - lag(t.local_tax_amount, 1, 0::bigint) over of_currency as local_tax_change,
       t.cost_amount - lag(t.cost_amount, 1, 0::bigint) over of_currency as cost_change,
       t.credit_amount - lag(t.credit_amount, 1, 0::bigint) over of_currency as credit_change,
       t.quarantined_amount - lag(t.quarantined_amount, 1, 0::bigint) over of_currency as quarantined_change,
       t.refunded_amount - lag(t.refunded_amount, 1, 0::bigint) over of_currency as refunded_change
  from ledger.day_totals t
  join ledger.revisions r using (settlement_date, revision)
  left join ledger.runs u using (run_id)
window of_currency as (partition by t.settlement_date, t.currency order by t.revision);
