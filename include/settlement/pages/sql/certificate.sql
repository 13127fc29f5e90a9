-- One row: a certificate, with the hash of the one before it and the number of the one after.
select c.number, c.settlement_date, c.revision, c.sha256, c.issued_at, c.body::jsonb as body, b.sha256 as before_sha256,
       n.number as next
  from ledger.certificates c
  left join ledger.certificates b on b.number = c.number - 1
  left join ledger.certificates n on n.number = c.number + 1
 where c.number = :number
