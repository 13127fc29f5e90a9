-- One row per note of the loans $1 (joined by the unit separator).
select note_id, loan_id, principal
  from core.notes
 where loan_id = any(string_to_array($1, E'\x1f'))
