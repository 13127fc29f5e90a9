-- The first window of which something else is counted than was taken.
select 'windows_taken ' || window_on
  from ledger.windows_taken w
  full join (select window_on, count(*) as receipts,
                    sum(ledger.number_of_receipt(repayment_id, loan_id, amount, received_at, reverses_repayment_id))
                      as digest
               from ledger.repayments
              where state <> 'untaken'
              group by window_on) t using (window_on)
 where (coalesce(w.receipts, 0), coalesce(w.digest, 0)) is distinct from (coalesce(t.receipts, 0), coalesce(t.digest, 0))
 order by window_on
 limit 1
