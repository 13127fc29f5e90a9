-- An approval is for exactly these payouts: ids, amounts, and where the money goes. None of it changes afterwards, so the
-- file that is written needs no second approval.
create function ledger.refuse_payee() returns trigger language plpgsql as $$
begin
  raise exception 'The payee of a payout stays the one that it was prepared for'
    using errcode = 'integrity_constraint_violation';
end $$;
create trigger payee_stays before update of payee_name, payee_bank on ledger.payouts
  for each statement execute function ledger.refuse_payee();
