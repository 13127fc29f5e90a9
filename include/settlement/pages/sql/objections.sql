-- One row per objection against paying for a settlement date.
select settlement_date, control, said, raised_at, overridden_by, reason, overridden_at
  from ledger.objections
 where settlement_date = :on
 order by raised_at, said
