-- One row per refund with one of the ids $1 (joined by the unit separator).
select refund_id as payee_id, payee_name as name, payee_account as account, payee_bank as bank
  from core.refunds
 where refund_id = any(string_to_array($1, E'\x1f'))
