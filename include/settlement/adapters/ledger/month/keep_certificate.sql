-- Writes a certificate of a month.
insert into ledger.month_certificates (number, month, revision, until_number, body, sha256, issued_at)
values (:number, :month, :revision, :until_number, :body, :sha256, :issued_at)
