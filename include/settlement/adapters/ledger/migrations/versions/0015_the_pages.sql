-- What the operator's pages look for, so that none of them reads a table that grows with the days.
create index on ledger.payouts (settlement_date, payout_id);
create index on ledger.payouts (state, settlement_date, payout_id);
create index on ledger.payout_files (settlement_date, file_id);
create index on ledger.breaks (opened_on);
create index on ledger.breaks (subject_kind, subject_id);
create index on ledger.approvals (settlement_date);
create index approvals_waiting on ledger.approvals (requested_at) where decision is null;
create index on ledger.statements (business_date, position);
create index on ledger.bank_messages (recorded_at);
create index on ledger.statement_lines (end_to_end_id);
create index on ledger.statement_lines (reference);
create index on ledger.statement_lines (bank_reference);
