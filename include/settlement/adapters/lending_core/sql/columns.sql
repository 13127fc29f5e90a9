-- One row per column of the relations of schema core, with its type: its name, and what kind of type it is.
select c.relname as relation, a.attname as name, format_type(a.atttypid, null) as type, b.typname as kind,
       b.typcategory::text as category
  from pg_namespace n
  join pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
 where n.nspname = 'core'
