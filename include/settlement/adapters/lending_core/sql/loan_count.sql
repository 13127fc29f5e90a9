-- How many loans there are.
select count(*) as loans
  from core.loans
