-- The name under which another connection sees what this one sees.
select pg_export_snapshot() as name
