-- Goes on from `touched`. One row per item that is open: what stands between us and the bank because of it.
, open_items as (
  select account, subject_id, currency, sum(amount)::bigint as amount
    from (
          -- a receipt from its extraction until its line; what of it a reversal or a person cleared besides
          select 'receipts_in_transit' as account, s.subject_id, r.currency, r.amount
            from repayments s
            join ledger.repayments r on r.repayment_id = s.subject_id
           where r.is_extracted and r.reverses_repayment_id is null
          union all
          select 'receipts_in_transit', s.subject_id, r.currency, -r.amount
            from repayments s
            join ledger.repayments r on r.repayment_id = s.subject_id
            join ledger.repayments o on o.repayment_id = r.reverses_repayment_id
           where (o.is_extracted or exists (select from ledger.opening_receipts t where t.repayment_id = o.repayment_id))
             and r.state in ('settled', 'cancelled')
          union all
          -- one that was undone before it was taken, and whose money came all the same: it stands because of the undoing
          select 'receipts_in_transit', s.subject_id, r.currency,
                 case when r.reverses_repayment_id is null then r.amount else -r.amount end
            from repayments s
            join ledger.repayments r on r.repayment_id = s.subject_id
            join ledger.repayments o on o.repayment_id = coalesce(r.reverses_repayment_id, r.repayment_id)
           where r.state = 'cancelled' and o.state = 'cancelled' and not o.is_extracted
             and exists (select
                           from ledger.matches m
                          where m.subject_id = o.repayment_id and m.subject_kind = 'receipt')
          union all
          select 'receipts_in_transit', s.subject_id, l.currency, -(m.amount + m.difference)
            from repayments s
            join ledger.matches m on m.subject_id = s.subject_id
            join ledger.statement_lines l using (line_id)
           where m.subject_kind in ('receipt', 'receipt_undone')
          union all
          select p.account, s.subject_id, p.currency, p.amount
            from repayments s
            join ledger.entries e on e.repayment_id = s.subject_id
            join ledger.postings p using (entry_id)
           where e.event = 'written_off' and p.account = 'receipts_in_transit'
          union all
          -- what another system had under way when the lender was taken over, until its line
          select 'receipts_in_transit', s.subject_id, o.currency, o.amount
            from repayments s
            join ledger.opening_positions o
              on o.kind = 'receipt_in_transit' and s.subject_id = 'opening-receipt:' || o.currency || ':' || o.subject_id
          union all
          select 'payouts_in_transit', s.subject_id, o.currency, -o.amount
            from payouts s
            join ledger.opening_positions o
              on o.kind = 'payout_in_transit' and s.subject_id = 'opening-payout:' || o.currency || ':' || o.subject_id
          union all
          select 'suspense', 'opening-suspense', currency, -amount from ledger.opening_positions where kind = 'suspense'
          union all
          select p.account, e.repayment_id, p.currency, p.amount
            from ledger.entries e
            join ledger.postings p using (entry_id)
           where e.repayment_id = 'opening-suspense' and p.account = 'suspense'
          union all
          -- a payout from its preparation until its line, or until its money is given back
          select 'payouts_in_transit', s.subject_id, p.currency, -p.amount
            from payouts s
            join ledger.payouts p on p.payout_id = s.subject_id
           where p.state not in ('rejected', 'returned')
          union all
          select 'payouts_in_transit', s.subject_id, l.currency, -(m.amount + m.difference)
            from payouts s
            join ledger.matches m on m.subject_id = s.subject_id
            join ledger.statement_lines l using (line_id)
           where m.subject_kind in ('payout', 'payout_return')
          union all
          select p.account, s.subject_id, p.currency, p.amount
            from payouts s
            join ledger.entries e on e.payout_id = s.subject_id
            join ledger.postings p using (entry_id)
           where e.event = 'written_off' and p.account = 'payouts_in_transit'
          union all
          select 'suspense', line_id, currency, -amount from ledger.statement_lines where state = 'suspended'
         ) items
   group by account, subject_id, currency
  having sum(amount) <> 0
)
