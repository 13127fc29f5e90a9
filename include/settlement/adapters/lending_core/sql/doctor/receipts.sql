-- One row per receipt of the newest :most: its reference.
select bank_reference from core.repayments where reverses_repayment_id is null
 order by received_at desc nulls last limit :most
