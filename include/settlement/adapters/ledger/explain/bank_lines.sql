-- One row per pair of a repayment and a line of a statement that shows it, or that shows it undone, without who paid.
select m.subject_id as repayment_id, l.line_id, l.statement_id, l.booking_date, l.currency, l.amount, m.rule
  from ledger.matches m
  join ledger.statement_lines l using (line_id)
 where m.subject_kind in ('receipt', 'receipt_undone') and m.subject_id = any(:repayments)
 order by m.subject_id, l.booking_date, l.line_id
