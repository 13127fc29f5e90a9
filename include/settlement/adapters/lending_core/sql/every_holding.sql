-- One row per period in which one investor holds one note.
select note_id, investor_id, held_from, nullif(held_until_exclusive, 'infinity') as held_until_exclusive
  from core.note_holdings
