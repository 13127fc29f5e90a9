-- One row per currency, day and sending: what no statement has shown leaving for payouts, less the part of them that
-- lines in suspense show. A returned payout is among it until a statement proves that the bank netted it away. A debit of
-- half a payout or less that names it is a fee or the like, and shows nothing of it.
select p.currency, p.settlement_date, p.submitted_at, p.state = 'returned' as is_returned,
       sum(greatest(p.amount + coalesce(l.part, 0), 0))::bigint as amount
  from ledger.payouts p
  left join (select end_to_end_id, sum(shown.amount) as part
               from ledger.statement_lines shown
               join ledger.payouts named using (end_to_end_id)
              where shown.state <> 'matched' and shown.amount * -2 > named.amount
              group by end_to_end_id) l using (end_to_end_id)
 where not p.state = any(:final) or p.state = 'returned' and p.booked_on is null
 group by p.currency, p.settlement_date, p.submitted_at, p.state = 'returned'
 order by p.currency, p.settlement_date, p.submitted_at
