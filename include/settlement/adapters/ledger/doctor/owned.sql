-- One row per schema or relation of the books that the login owns, or could own as a member of its owner's role.
select 'schema ' || nspname as name from pg_namespace
 where nspname in ('ledger', 'reporting') and pg_has_role(nspowner, 'member')
union all
select n.nspname || '.' || c.relname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('ledger', 'reporting') and c.relkind in ('r', 'p', 'v') and not c.relispartition
   and pg_has_role(c.relowner, 'member')
 order by 1
