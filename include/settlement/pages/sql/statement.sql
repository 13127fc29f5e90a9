-- One row: a statement.
select statement_id, bank_name, page, is_last, account, currency, business_date, opening, closing, line_count, applied_at, sha256
  from ledger.statements
 where statement_id = :id
