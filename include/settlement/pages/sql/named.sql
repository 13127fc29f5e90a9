-- One row per thing that has exactly this id, number or reference.
select 'payout' as kind, payout_id as id from ledger.payouts where payout_id = :text
 union
select 'payout', payout_id from ledger.payouts where end_to_end_id = :text
 union
select 'repayment', repayment_id from ledger.repayments where repayment_id = :text
 union
(select 'loan', loan_id from ledger.repayments where loan_id = :text limit 1)
 union
select 'investor', substr(account, length('investor_payable:') + 1) from ledger.balances
 where account = 'investor_payable:' || :text
 union
select 'file', file_id from ledger.payout_files where file_id = :text
 union
select 'statement', statement_id from ledger.statements where statement_id = :text
 union
(select 'line', line_id from ledger.statement_lines where line_id = :text)
 union
(select 'line', line_id from ledger.statement_lines where bank_reference = :text order by line_id limit 20)
 union
(select 'line', line_id from ledger.statement_lines where reference = :text order by line_id limit 20)
 union
(select 'line', line_id from ledger.statement_lines where end_to_end_id = :text order by line_id limit 20)
 order by kind, id
