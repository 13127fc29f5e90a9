-- One row per currency, day and sending: what no statement has shown leaving for payouts, less the part of them that
-- lines in suspense show. A returned payout is among it until a statement proves that the bank netted it away.
select p.currency, p.settlement_date, p.submitted_at, p.state = 'returned' as is_returned,
       sum(greatest(p.amount + coalesce(l.part, 0), 0))::bigint as amount
  from ledger.payouts p
  left join (select end_to_end_id, sum(amount) as part
               from ledger.statement_lines
              where state <> 'matched' and amount < 0 and end_to_end_id is not null
              group by end_to_end_id) l using (end_to_end_id)
 where not p.state = any(:final) or p.state = 'returned' and p.booked_on is null
 group by p.currency, p.settlement_date, p.submitted_at, p.state = 'returned'
 order by p.currency, p.settlement_date, p.submitted_at
