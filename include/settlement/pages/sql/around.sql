-- One row: the settlement dates before and after one.
select (select max(settlement_date) from ledger.days where settlement_date < :on) as before,
       (select min(settlement_date) from ledger.days where settlement_date > :on) as after
