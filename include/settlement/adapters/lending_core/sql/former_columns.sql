-- No row: the columns of what a former system paid.
select *
  from core.paid_before
 limit 0
