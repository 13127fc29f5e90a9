-- One row per note.
select note_id, loan_id, principal
  from core.notes
