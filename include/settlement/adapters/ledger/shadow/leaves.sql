-- One row per table that is a part of another one of the ledger: each date has some.
select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'ledger' and c.relispartition and c.relkind = 'r'
