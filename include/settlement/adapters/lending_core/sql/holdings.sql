-- One row per period in which one investor holds one note of the loans $1 (joined by the unit separator).
select h.note_id, h.investor_id, h.held_from, nullif(h.held_until_exclusive, 'infinity') as held_until_exclusive
  from core.note_holdings h join core.notes n using (note_id)
 where n.loan_id = any(string_to_array($1, E'\x1f'))
