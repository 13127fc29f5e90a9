-- The loans on which something is held now, or was held or taken on the day or later: no other held anything before it.
select substr(account, length('borrower_credit:') + 1) as loan_id
  from ledger.balances
 where account >= 'borrower_credit:' and account < 'borrower_credit;' and amount <> 0
 union
select loan_id
  from ledger.credit_changes
 where settlement_date >= :on
