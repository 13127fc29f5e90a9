-- A lender that settled elsewhere before begins with what stood when it was taken over.

alter table ledger.entries
  drop constraint entries_event_check,
  add constraint entries_event_check check (event in (
    'opening', 'opening_position', 'repayment_extracted', 'repayment_distributed', 'credit_applied', 'repayment_reversed',
    'refund_ordered', 'refund_undone', 'payout_prepared', 'payout_rejected', 'payout_returned', 'line_matched',
    'line_suspended', 'suspense_resolved', 'tolerance_booked', 'written_off', 'bank_charge', 'bank_interest',
    'remitted'));

-- One row per kind, subject and currency that was taken over, as the source said it then.
create table ledger.opening_positions (
  kind         text collate "C" not null check (kind in (
    'note_principal_repaid', 'receivable_paid', 'borrower_credit', 'repayment_unallocated', 'investor_payable',
    'tax_payable:national', 'tax_payable:local', 'vat_payable', 'fee_income', 'cost_recovered', 'suspense',
    'receipt_in_transit', 'payout_in_transit')),
  subject_id   text collate "C" not null,       -- empty where the kind is one account
  currency     text collate "C" not null,
  amount       bigint not null check (amount > 0 or amount < 0 and kind = 'investor_payable'),
  loan_id      text,                            -- of a note, a receivable, a credit, a repayment
  received_at  timestamptz,                     -- of a repayment
  primary key (kind, subject_id, currency),
  check ((loan_id is not null) = (kind in ('note_principal_repaid', 'receivable_paid', 'borrower_credit', 'repayment_unallocated'))),
  check ((received_at is not null) = (kind = 'repayment_unallocated'))
);
create index on ledger.opening_positions (loan_id);
create trigger only_grows before update or delete or truncate on ledger.opening_positions
  for each statement execute function ledger.refuse_change();

-- One row once a lender was taken over: for which first settlement date, on which date it is dated, and the hash of the
-- positions.
create table ledger.opening (
  only_row    boolean primary key default true check (only_row),
  first_date  date not null,
  opened_on   date not null,
  opens_at    timestamptz not null,            -- when the first window opens: what came before it was settled elsewhere
  sha256      text not null,
  taken_at    timestamptz not null,
  check (opened_on < first_date)
);
create trigger only_grows before update or delete or truncate on ledger.opening
  for each statement execute function ledger.refuse_change();

-- What is taken over makes the books newer: inputs that were read before are stale.
create function ledger.count_opening() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  update ledger.books_version set version = version + 1;
  return null;
end $$;
revoke all on function ledger.count_opening() from public;
create trigger count_opening after insert on ledger.opening
  for each statement execute function ledger.count_opening();

-- One row per receipt that was booked before and not applied: its money stands in the ledger by the opening, and no run
-- extracts it.
create view ledger.opening_receipts as
select subject_id as repayment_id, loan_id, currency, amount, received_at
  from ledger.opening_positions
 where kind = 'repayment_unallocated';

create or replace view ledger.credit_changes as
select settlement_date, position, loan_id, repayment_id, currency, amount, event
  from ledger.standing_credits
 union all
select settlement_date, null, loan_id, repayment_id, currency, amount, 'refund_undone'
  from ledger.standing_refunds_undone
 union all
select opened_on, null, loan_id, ('opening:' || loan_id) collate "C", currency collate "default", amount,
       'opening_position'
  from ledger.opening_positions, ledger.opening
 where kind = 'borrower_credit';

-- The opening is certified as number zero, on a date that is no settlement date.
alter table ledger.certificates
  drop constraint certificates_number_check,
  add constraint certificates_number_check check (number >= 0),
  drop constraint certificates_settlement_date_fkey,
  add column settled_on date generated always as (case when number > 0 then settlement_date end) stored
    references ledger.days (settlement_date);

create view reporting.opening as
select kind, subject_id, currency, amount from ledger.opening_positions;
