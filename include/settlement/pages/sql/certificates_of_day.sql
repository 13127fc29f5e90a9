-- One row per certificate of a settlement date.
select number, settlement_date, revision, sha256, issued_at
  from ledger.certificates
 where settlement_date = :on
 order by number
