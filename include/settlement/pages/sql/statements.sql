-- One row per statement, newest first, with what the one before it of its account closed at: where that is not its opening,
-- something is missing.
select statement_id, bank_name, page, is_last, account, currency, business_date, opening, closing, line_count, applied_at, sha256,
       closed_before, opening - closed_before as gap
  from (select s.*, lag(closing) over (partition by account, currency order by business_date, position) as closed_before
          from (select * from ledger.statements order by business_date desc, position desc limit :limit + 50) s) chain
 order by business_date desc, position desc
 limit :limit
