-- One row per share of an investor in the newest revision of a settlement date, in the order of the run.
select s.*
  from ledger.shares s
  join ledger.days d using (settlement_date, revision)
 where s.settlement_date = :on and s.investor_id = :investor
 order by s.position, s.note_id
