-- One row per statement line in one of the states.
select line_id, booking_date, amount, currency, end_to_end_id, reference, coalesce(remittance, '') as remittance,
       is_return, reason, state = 'suspended' as is_suspended, is_charge, coalesce(bank_code, '') as bank_code, file_id,
       counterparty_account, bank_reference
  from ledger.statement_lines
 where state = any(:states)
 order by line_id
