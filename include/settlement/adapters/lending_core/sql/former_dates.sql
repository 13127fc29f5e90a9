-- One row per date from $1 to $2, both included, on which a former system paid.
select distinct settlement_date
  from core.paid_before
 where settlement_date between $1::date and $2::date
 order by settlement_date
