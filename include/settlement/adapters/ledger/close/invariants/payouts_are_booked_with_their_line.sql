-- The first payout that is booked on another day than the first line that shows it leaving, or booked without one: a
-- line that is matched with it, stands in suspense with its id and at least its amount, or stood so and was booked
-- elsewhere by a person.
select 'payouts ' || p.payout_id
  from ledger.payouts p
  left join (
        select m.subject_id as payout_id, l.booking_date
          from ledger.matches m
          join ledger.statement_lines l using (line_id)
         where m.subject_kind = 'payout'
         union all
        select o.payout_id, l.booking_date
          from ledger.statement_lines l
          join ledger.payouts o on o.end_to_end_id = l.end_to_end_id and o.currency = l.currency
         where l.state = 'suspended' and not l.is_charge and l.amount <= -o.amount and o.submitted_at is not null
         union all
        select f.payout_id, l.booking_date
          from ledger.payout_facts f
          join ledger.statement_lines l on l.line_id = f.source
          join ledger.payouts o on o.payout_id = f.payout_id and o.submitted_at is not null
         where f.kind = 'debit_explained'
       ) shown using (payout_id)
 group by p.payout_id
having p.booked_on is distinct from min(shown.booking_date)
 order by 1
 limit 1
