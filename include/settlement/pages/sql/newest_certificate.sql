-- One row: the certificate that was issued last.
select number, settlement_date, revision, sha256, issued_at
  from ledger.certificates
 order by number desc
 limit 1
