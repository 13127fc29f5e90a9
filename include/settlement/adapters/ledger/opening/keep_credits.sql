-- Let what is held on a loan be of a receipt of its own, which the books have settled before every settlement date.
insert into ledger.repayments (repayment_id, loan_id, currency, received_at, amount, state, window_on, taken_on,
                               stands_since, settled_on, ended_on, is_extracted)
select 'opening:' || loan_id, loan_id, currency, :received_at, amount, 'settled', :on, :on, :on, :on, :on, false
  from ledger.opening_positions
 where kind = 'borrower_credit'
