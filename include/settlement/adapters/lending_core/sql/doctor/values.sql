-- One row per rule of a value that some of the first :most rows of its relation break: where, how many do, what they say.
with broken as (
  select 'core.receivables.component' as place, component::text as said
    from (select component from core.receivables limit :most) as rows
   where component::text not in ('cost', 'late_interest', 'interest', 'principal')
  union all
  select 'core.receivables.amount', 'below 0'
    from (select amount from core.receivables limit :most) as rows where amount < 0
  union all
  select 'core.notes.principal', '0 or below' from (select principal from core.notes limit :most) as rows where principal <= 0
  union all
  select 'core.repayments.amount', '0 or below' from (select amount from core.repayments limit :most) as rows where amount <= 0
  union all
  select 'core.note_holdings.held_until_exclusive', 'not after held_from'
    from (select held_from, held_until_exclusive from core.note_holdings limit :most) as rows
   where held_until_exclusive <= held_from
)
select place, count(*) as rows, (array_agg(distinct said order by said))[1:3] as said from broken group by place order by place
