-- Write a payment file before the bank is called.
insert into ledger.payout_files (file_id, settlement_date, currency, payment_count, amount, content, sha256, created_at)
values (:file_id, :on, :currency, :count, :amount, :content, :sha, :now)
