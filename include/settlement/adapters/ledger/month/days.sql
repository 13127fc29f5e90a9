-- One row per settlement date of a period that was opened, with the certificate of its newest revision, if it has one.
select d.settlement_date, d.state, d.revision, c.number as certificate, c.sha256
  from ledger.days d
  left join ledger.certificates c on c.settlement_date = d.settlement_date and c.revision = d.revision and c.number > 0
 where d.settlement_date between :first and :last
 order by d.settlement_date
