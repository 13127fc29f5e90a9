-- Let the repayments of loans stand as they did before a date: what a date from it on took is untaken, and what one of these
-- settled or cancelled is kept back again.
update ledger.repayments r
   set state = case when r.stands_since < :since then 'quarantined' else 'untaken' end,
       settled_on = null,
       ended_on = null,
       reversed_by = null,
       is_extracted = r.stands_since < :since and exists (
         select from ledger.standing_entries e
          where e.repayment_id = r.repayment_id and e.event = 'repayment_extracted' and e.settlement_date < :since)
 where r.loan_id = any(:loans) and (r.stands_since >= :since or r.ended_on >= :since)
