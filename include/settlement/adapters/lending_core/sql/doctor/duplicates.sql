-- One row: how many keys stand in more than one of the first :most rows of a relation, and how many rows those are.
with rows as materialized (select {columns} from core.{relation} where {is_there} limit :most)
select (select count(*) from (select from rows group by {columns} having count(*) > 1) as twice) as faulty,
       (select count(*) from rows) as looked
