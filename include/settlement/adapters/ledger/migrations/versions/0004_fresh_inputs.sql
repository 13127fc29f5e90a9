-- A revision is posted from the inputs on record, and these are as new as the books.

-- Posting a revision is what makes the books newer: the number grows here and nowhere else. Its row is locked from then
-- on until the transaction ends, so whoever else posts waits, finds the next number, and is refused.
create function ledger.refuse_stale_inputs() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare
  stands bigint;
  kept ledger.snapshots;
begin
  update ledger.books_version set version = version + 1 returning version - 1 into stands;
  select * into kept from ledger.snapshots s
   where s.settlement_date = new.settlement_date and s.revision = new.revision for share;
  if kept.input_sha256 is distinct from new.input_sha256 then
    raise exception 'Revision [%] of [%] was computed from inputs [%], on record are [%]',
      new.revision, new.settlement_date, new.input_sha256, kept.input_sha256
      using errcode = 'integrity_constraint_violation';
  end if;
  if kept.books_version <> stands then
    raise exception 'Revision [%] of [%] was computed from books numbered [%], which are at [%] by now',
      new.revision, new.settlement_date, kept.books_version, stands
      using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
create trigger refuse_stale_inputs before insert on ledger.revisions
  for each row execute function ledger.refuse_stale_inputs();

-- What a revision was computed from stays on record.
create function ledger.keep_computed_inputs() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  if exists (select from ledger.revisions r
              where r.settlement_date = old.settlement_date and r.revision = old.revision) then
    raise exception 'Revision [%] of [%] is computed: its inputs stay on record', old.revision, old.settlement_date
      using errcode = 'integrity_constraint_violation';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger keep_computed_inputs before update or delete on ledger.snapshots
  for each row execute function ledger.keep_computed_inputs();
