-- One row: the first day on which a line is booked that a statement after the day `before` shows.
select coalesce(min(l.booking_date), cast(:before as date))
  from ledger.statements s
  join ledger.statement_lines l using (statement_id)
 where s.business_date > :before
