-- One row per rejected payout and line in suspense that shows it as paid.
select p.payout_id, l.line_id, p.currency, p.amount
  from ledger.payouts p
  join ledger.statement_lines l on l.end_to_end_id = p.end_to_end_id and l.state <> 'matched' and l.amount < 0
 where p.state = 'rejected' and p.investor_id = any(:investors)
 order by p.payout_id, l.line_id
