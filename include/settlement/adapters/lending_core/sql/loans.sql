-- One row per loan with one of the ids $1 (joined by the unit separator).
select loan_id, currency, disbursed_on
  from core.loans
 where loan_id = any(string_to_array($1, E'\x1f'))
