-- One row per loan of these, and per repayment or refund of one that was ever taken or kept back: what breaks are about.
select 'loan' as kind, id from unnest(cast(:loans as text[])) as t (id)
 union all
select 'repayment', repayment_id from ledger.repayments where loan_id = any(:loans)
 union all
select 'refund', refund_id from ledger.refused_refunds where loan_id = any(:loans)
