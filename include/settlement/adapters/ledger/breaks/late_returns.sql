-- One row per payout that came back after its day was closed and was not paid out again since.
select p.payout_id, p.currency, p.amount, p.bank_reason, h.at
  from ledger.payouts p
  join ledger.payout_history h on h.payout_id = p.payout_id and h.to_state = 'returned'
  join ledger.days d on d.settlement_date = p.settlement_date and d.closed_at < h.at
 where p.state = 'returned'
   and not exists (select
                     from ledger.payouts later
                    where (later.payee_kind, later.payee_id, later.currency) = (p.payee_kind, p.payee_id, p.currency)
                      and later.prepared_at >= h.at)
