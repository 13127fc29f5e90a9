-- Those of the loans on which something was held before the day.
select distinct loan_id
  from (select loan_id
          from ledger.credit_changes
         where settlement_date < :on and loan_id = any(:loans)
         group by loan_id, repayment_id
        having sum(amount) <> 0) held
