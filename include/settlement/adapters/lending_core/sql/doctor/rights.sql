-- One row per relation of schema core out of :relations that is there: what the login may do with it.
select c.relname as relation,
       has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select') as may_read,
       array_remove(array[
         case when has_any_column_privilege(c.oid, 'insert') then 'insert' end,
         case when has_any_column_privilege(c.oid, 'update') then 'update' end,
         case when has_table_privilege(c.oid, 'delete') then 'delete' end,
         case when has_table_privilege(c.oid, 'truncate') then 'truncate' end], null) as writes,
       pg_has_role(c.relowner, 'member') as is_owned
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'core' and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname = any(:relations)
 order by 1
