-- Keep a statement.
insert into ledger.statements (statement_id, bank_name, sha256, account, currency, sequence, business_date, opening,
                               closing, page, is_last, line_count, content_key, applied_at)
values (:id, :bank_name, :sha, :account, :currency, :sequence, :business_date, :opening,
        :closing, :page, :is_last, :count, :key, :now)
