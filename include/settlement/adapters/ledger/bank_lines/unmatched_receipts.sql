-- Goes on from `touched`. One row per receipt, or receipt undone, that the books have taken and no statement line has
-- shown yet.
select r.repayment_id, r.loan_id, r.currency, r.amount, r.window_on, r.received_at, r.reverses_repayment_id
  from repayments s
  join ledger.repayments r on r.repayment_id = s.subject_id
  left join ledger.repayments o on o.repayment_id = r.reverses_repayment_id
 where (r.is_extracted
        or r.reverses_repayment_id is not null and (r.state = 'settled' or r.state = 'cancelled'
            and (o.is_extracted or exists (select from ledger.opening_receipts t where t.repayment_id = o.repayment_id)))
        -- undone before it was taken: its money came all the same, and has to go back
        or r.state = 'cancelled' and exists (select
                                               from ledger.matches m
                                              where m.subject_id = o.repayment_id and m.subject_kind = 'receipt'))
   and not exists (select
                     from ledger.matches m
                    where m.subject_id = r.repayment_id and m.subject_kind in ('receipt', 'receipt_undone'))
   and not exists (select
                     from ledger.entries e
                    where e.repayment_id = r.repayment_id and e.event = 'written_off')
 order by r.repayment_id
