-- Close the questions of a settlement date that are open and not this one.
update ledger.approvals
   set decision = 'superseded', decided_at = :now
 where settlement_date = :on and decision is null and approval_id <> :id
