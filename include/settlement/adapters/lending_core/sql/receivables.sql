-- One row per receivable of the loans $1 (joined by the unit separator), whenever it falls due.
select receivable_id, loan_id, installment_no, component, due_on, amount
  from core.receivables
 where loan_id = any(string_to_array($1, E'\x1f'))
