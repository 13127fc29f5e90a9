-- Remember the accounts of payees that the bank refused for good.
insert into ledger.refused_accounts (payee_kind, payee_id, payee_account, payee_bank, reason, refused_at, payout_id)
select p.payee_kind, p.payee_id, p.payee_account, coalesce(p.payee_bank, ''), refused.reason, :now, p.payout_id
  from unnest(cast(:ids as text[]), cast(:reasons as text[])) as refused (payout_id, reason)
  join ledger.payouts p using (payout_id)
    on conflict do nothing
