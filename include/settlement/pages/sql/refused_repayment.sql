-- One row per run that kept a receipt back.
select settlement_date, revision, rule, evidence, released_on
  from ledger.quarantine
 where repayment_id = :id
 order by settlement_date, revision
