-- One row per share of an investor of a settlement date, as the books stand, in the order of the run.
select s.*
  from ledger.standing_shares s
 where s.settlement_date = :on and s.investor_id = :investor
 order by s.position, s.note_id
