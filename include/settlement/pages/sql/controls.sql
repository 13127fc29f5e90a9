-- One row per control that ran for a settlement date.
select control, is_held, ran_at
  from ledger.control_results
 where settlement_date = :on
 order by control
