-- The first payout in another state than its last step took it to.
select 'payouts ' || p.payout_id
  from ledger.payouts p
  left join lateral (select to_state
                       from ledger.payout_history h
                      where h.payout_id = p.payout_id
                      order by step desc
                      limit 1) h on true
 where p.state <> coalesce(h.to_state, 'prepared')
 order by p.payout_id
 limit 1
