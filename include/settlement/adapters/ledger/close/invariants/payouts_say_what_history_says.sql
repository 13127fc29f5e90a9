-- The first payout that says another instant of its sending, or another reason of the bank, than its history.
select 'payouts ' || p.payout_id
  from ledger.payouts p
  left join lateral (
        select max(h.at) filter (where h.to_state = 'submitted') as submitted_at,
               (array_agg(h.evidence ->> 'bank_reason' order by h.step desc)
                 filter (where h.evidence ->> 'bank_reason' is not null))[1] as bank_reason
          from ledger.payout_history h
         where h.payout_id = p.payout_id
       ) h on true
 where (p.submitted_at, p.bank_reason) is distinct from (h.submitted_at, h.bank_reason)
 order by p.payout_id
 limit 1
