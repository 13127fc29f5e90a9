-- One row per investor with one of the ids $1 (joined by the unit separator).
select investor_id as payee_id, name, status, payout_account as account, payout_bank as bank
  from core.investors
 where investor_id = any(string_to_array($1, E'\x1f'))
