-- One row, if any of the first :most investors has a status that the contract does not know: how many, and which statuses.
select count(*) as rows, (array_agg(distinct status::text order by status::text))[1:3] as said
  from (select status from core.investors limit :most) as rows
 where status::text not in ('active', 'frozen')
having count(*) > 0
