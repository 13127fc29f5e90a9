-- One row per credit among the newest :most lines of statements: what it says, and whether it is matched with a receipt.
select l.reference, l.remittance, l.end_to_end_id,
       exists (select from ledger.matches m where m.line_id = l.line_id and m.subject_kind = 'receipt') as is_receipt
  from (select * from ledger.statement_lines order by booking_date desc, line_id limit :most) as l
 where l.amount > 0 and not l.is_return
