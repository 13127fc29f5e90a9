-- One row per row of what a former system paid on the date $1.
select *
  from core.paid_before
 where settlement_date = $1::date
