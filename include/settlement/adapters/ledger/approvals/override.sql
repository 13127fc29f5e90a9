-- Keep that a person answers for these objections; what somebody has answered for stays his.
update ledger.objections
   set overridden_by = :by, reason = :reason, overridden_at = :now
 where settlement_date = :on and said = any(:said) and overridden_by is null
