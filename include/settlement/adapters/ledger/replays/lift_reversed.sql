-- Let what was settled before stand as not reversed, where its reversal was lifted.
update ledger.repayments r
   set reversed_by = null
 where r.loan_id = any(:loans)
   and exists (select from ledger.repayments x where x.repayment_id = r.reversed_by and x.state in ('quarantined', 'untaken'))
