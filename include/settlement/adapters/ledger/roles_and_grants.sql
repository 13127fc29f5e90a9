-- The tasks act as settlement_app, which can add to the books and never change them; people and reports read as
-- settlement_reporting, which sees the reporting views and no personal data. The operator's pages act as settlement_pages,
-- which reads the books and can add what a person decides to them: no payout, no payment file, no transmission.
do $$
declare name text;
begin
  foreach name in array array['settlement_app', 'settlement_reporting', 'settlement_pages'] loop
    if not exists (select from pg_roles where rolname = name) then
      begin
        execute format('create role %I nologin', name);
      exception when duplicate_object or unique_violation then null;  -- another migration was faster
      end;
    end if;
  end loop;
  foreach name in array array['settlement_app', 'settlement_pages'] loop
    begin
      execute format('grant %I to %I', name, current_user);
    exception when insufficient_privilege then null;  -- whoever created the role has granted it before
    end;
  end loop;
end $$;
revoke all on schema ledger from public;
grant usage on schema reporting to settlement_reporting, settlement_app, settlement_pages;
grant select on all tables in schema reporting to settlement_reporting, settlement_app, settlement_pages;
grant usage on schema ledger to settlement_app;
revoke update, delete on all tables in schema ledger from settlement_app;
grant select, insert on all tables in schema ledger to settlement_app;
grant usage on all sequences in schema ledger to settlement_app;
revoke execute on all functions in schema ledger from public;
grant execute on function
  ledger.leaf_name, ledger.ensure_partition, ledger.open_leaf, ledger.attach_leaf,
  ledger.number_of_receipt to settlement_app;
grant usage on schema ledger to settlement_pages;
revoke insert, update, delete on all tables in schema ledger from settlement_pages;
grant select on all tables in schema ledger to settlement_pages;
grant usage on all sequences in schema ledger to settlement_pages;
grant execute on function ledger.leaf_name, ledger.ensure_partition to settlement_pages;
