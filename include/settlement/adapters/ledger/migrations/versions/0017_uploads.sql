-- One row per statement that somebody uploaded in the operator's pages: its bytes, who it was and why. The next run takes
-- it in beside what the bank sends and what people land in a folder.
create table ledger.uploads (
  sha256       text primary key check (sha256 = encode(sha256(content), 'hex')),
  name         text not null check (name <> ''),
  content      bytea not null check (length(content) > 0),
  uploaded_by  text not null check (uploaded_by <> ''),
  reason       text not null check (reason <> ''),
  uploaded_at  timestamptz not null
);
create index on ledger.uploads (uploaded_at, sha256);
create trigger only_grows before update or delete or truncate on ledger.uploads
  for each statement execute function ledger.refuse_change();
-- Refunds that were refused and are not taken since, which the pages list.
create index refunds_refused on ledger.refused_refunds (settlement_date, refund_id) where released_on is null;
