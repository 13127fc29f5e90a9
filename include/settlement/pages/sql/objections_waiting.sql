-- One row per objection against paying for the newest date, whether somebody has answered for it, and whether its payouts
-- are made: then it is over.
select o.settlement_date, o.control, o.said, o.raised_at, o.overridden_by, o.reason, o.overridden_at,
       exists (select from ledger.payouts p where p.settlement_date = o.settlement_date and p.prepared_at > o.raised_at)
         as is_over
  from ledger.objections o
 where o.settlement_date = :on
 order by o.raised_at, o.said
