-- One row per receipt that a settlement date keeps back, as the books stand.
select loan_id, repayment_id, currency, amount, rule, released_on
  from reporting.quarantine
 where settlement_date = :on
 order by loan_id, repayment_id
 limit 200
