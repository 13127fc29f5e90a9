-- One row per receipt or payout that another system had under way when the lender was taken over, with whether a line has
-- shown it, or a person has written it off.
select kind, subject_id, currency, amount, m.line_id is not null as is_shown,
       exists (select
                 from ledger.entries e
                where (e.repayment_id = o.id or e.payout_id = o.id) and e.event = 'written_off'
                  and e.reverses_entry_id is null
                  and not exists (select from ledger.entries r where r.reverses_entry_id = e.entry_id)) as is_written_off
  from (select kind, subject_id, currency, amount,
               case kind when 'receipt_in_transit' then 'opening-receipt:' else 'opening-payout:' end
                 || currency || ':' || subject_id as id
          from ledger.opening_positions
         where kind in ('receipt_in_transit', 'payout_in_transit')) o
  left join lateral (select line_id from ledger.matches where matches.subject_id = o.id limit 1) m on true
 order by kind, subject_id, currency
