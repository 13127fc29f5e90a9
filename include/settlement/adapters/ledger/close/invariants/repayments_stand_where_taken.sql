-- The first repayment that is not extracted, quarantined, reversed or settled as entries and other rows say of it.
select 'repayments ' || r.repayment_id
  from ledger.repayments r
  left join ledger.repayments x on x.reverses_repayment_id = r.repayment_id and x.state not in ('quarantined', 'untaken')
 where r.is_extracted <> exists (
         select from ledger.standing_entries e where e.repayment_id = r.repayment_id and e.event = 'repayment_extracted')
    or (r.state = 'quarantined') <> exists (
         select from ledger.standing_quarantine q where q.repayment_id = r.repayment_id and q.released_on is null)
    or r.reversed_by is distinct from x.repayment_id
    or r.settled_on is not null and not exists (
         select from ledger.standing_entries e where e.repayment_id = r.repayment_id and e.settlement_date = r.settled_on)
 order by r.repayment_id
 limit 1
