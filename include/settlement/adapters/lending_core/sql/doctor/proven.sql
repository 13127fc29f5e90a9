-- One row per fact about all rows that a constraint of schema core proves: its kind, the relation, the columns in order
-- of their names, and the column that they refer to.
select 'value' as kind, c.relname as relation, a.attname::text as columns, '' as refers_to
  from pg_attribute a join pg_class c on c.oid = a.attrelid
 where c.relnamespace = to_regnamespace('core') and c.relkind in ('r', 'p') and a.attnum > 0 and a.attnotnull
   and not exists (select from pg_constraint k
                    where k.conrelid = c.oid and k.contype = 'n' and not k.convalidated and a.attnum = any(k.conkey))
union all
select 'key', c.relname,
       (select string_agg(a.attname, ',' order by a.attname)
          from pg_attribute a where a.attrelid = c.oid and a.attnum = any(i.indkey::int2[])), ''
  from pg_index i join pg_class c on c.oid = i.indrelid
 where c.relnamespace = to_regnamespace('core') and i.indisunique and i.indisvalid and i.indpred is null
   and i.indexprs is null
union all
select 'reference', c.relname, a.attname, p.relname || '.' || pa.attname
  from pg_constraint k
  join pg_class c on c.oid = k.conrelid
  join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
  join pg_class p on p.oid = k.confrelid
  join pg_attribute pa on pa.attrelid = p.oid and pa.attnum = k.confkey[1]
 where c.relnamespace = to_regnamespace('core') and k.contype = 'f' and k.convalidated and cardinality(k.conkey) = 1
