-- The policy that a revision was computed with is kept with it, so that a day can be replayed when its file is gone. What
-- was computed before this has the hash of its policy only.

-- One row per policy that a revision was computed with: the bytes of its file, under the hash that revisions name.
create table ledger.policies (
  sha256   text primary key,
  content  bytea not null,
  kept_at  timestamptz not null,
  constraint content_is_what_its_hash_says check (sha256 = encode(sha256(content), 'hex'))
);
create trigger only_grows before update or delete or truncate on ledger.policies
  for each statement execute function ledger.refuse_change();
