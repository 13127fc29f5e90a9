-- One row per investor who ever held a note of the loans $1 (joined by the unit separator).
select i.investor_id, i.tax_class
  from core.investors i
 where exists (select from core.note_holdings h join core.notes n using (note_id)
                where h.investor_id = i.investor_id and n.loan_id = any(string_to_array($1, E'\x1f')))
