-- One row: of the first :most rows of a relation, how many have no value in each of some columns, and how many there are.
select {counts}, count(*) as looked
  from (select * from core.{relation} limit :most) as rows
