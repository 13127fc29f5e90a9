-- One row: how many of the first :most rows of a relation name something that is not there, and how many rows those are.
with rows as materialized (select {column}::text as named from core.{relation} where {column} is not null limit :most)
select count(*) filter (where not exists (select from core.{parent} p where p.{key}::text = named)) as faulty,
       count(*) as looked
  from rows
