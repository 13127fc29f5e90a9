-- One row per line that is booked to an account whose money is handed on, and that pays no month's sum so far.
select m.line_id, m.subject_id as account, l.currency, l.booking_date, -m.amount as amount
  from ledger.matches m
  join ledger.statement_lines l using (line_id)
 where m.subject_kind = 'account' and m.subject_id = any(:accounts)
   and not exists (select from ledger.remittances r where r.line_id = m.line_id)
 order by l.booking_date, m.line_id
