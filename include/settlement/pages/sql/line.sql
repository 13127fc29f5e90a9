-- One row: a line of a statement.
select l.line_id, l.statement_id, l.booking_date, l.value_date, l.amount, l.currency, l.end_to_end_id, l.reference, l.remittance,
       l.bank_reference, l.is_return, l.reason, l.state, s.account, s.business_date
  from ledger.statement_lines l
  join ledger.statements s using (statement_id)
 where l.line_id = :id
