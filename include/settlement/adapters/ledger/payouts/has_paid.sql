-- Whether a run has made payouts since it opened its day.
select exists (
       select
         from ledger.runs r
         join ledger.payouts p using (run_id, settlement_date)
        where run_id = :run
          and (p.state = 'prepared'
               or exists (select
                            from ledger.payout_history h
                           where h.payout_id = p.payout_id and h.from_state = 'prepared' and h.step > r.step_before)))
