-- What the operator's pages look for among years of what is over: what is open, what failed, what could not be used.
create index breaks_open on ledger.breaks (break_id) where state in ('open', 'assigned');
create index on ledger.breaks (cause, break_id);
create index alerts_undelivered on ledger.alert_outbox (alert_id) where state in ('pending', 'failed');
create index messages_unusable on ledger.bank_messages (recorded_at, sha256) where state in ('refused', 'foreign');
drop index ledger.bank_messages_recorded_at_idx3;
-- A statement of 100 000 lines, and a file of 10 000 payouts, are read page by page.
create index on ledger.statement_lines (statement_id, line_id);
drop index ledger.statement_lines_statement_id_idx;
create index on ledger.payouts (file_id, payout_id);
drop index ledger.payouts_file_id_idx;
create index on ledger.break_decisions (break_id, decision_id);
