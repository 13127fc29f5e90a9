-- The first payout that is booked on another day than its newest line, or booked without one.
select 'payouts ' || p.payout_id
  from ledger.payouts p
  left join ledger.matches m on m.subject_kind = 'payout' and m.subject_id = p.payout_id
  left join ledger.statement_lines l using (line_id)
 group by p.payout_id
having p.booked_on is distinct from max(l.booking_date)
 order by 1
 limit 1
