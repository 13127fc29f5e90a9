-- A date that was settled again, every loan of it, with half a per cent of its interest more: a second revision.
select ledger.ensure_partition('ledger.shares', {on}, 2);

insert into ledger.revisions (settlement_date, revision, run_id, reason, requested_by, policy_name, policy_version, policy_sha256,
                              input_sha256, output_sha256, code_version, computed_at)
select settlement_date, 2, run_id || '-again', 'interest was wrong', 'maker', policy_name, policy_version, policy_sha256,
       md5('again'), md5('again'), code_version, computed_at + interval '2 days'
  from ledger.revisions where settlement_date = {on};

insert into ledger.day_totals (settlement_date, revision, currency, repayment_count, received_amount, distributed_amount,
                               fee_amount, vat_amount, national_tax_amount, local_tax_amount, cost_amount, credit_amount,
                               quarantined_amount, refunded_amount)
select settlement_date, 2, currency, repayment_count, received_amount, distributed_amount, fee_amount, vat_amount,
       national_tax_amount, local_tax_amount, cost_amount, credit_amount, quarantined_amount, refunded_amount
  from ledger.day_totals where settlement_date = {on};

insert into ledger.replayed_loans (settlement_date, revision, loan_id)
select distinct settlement_date, 2, loan_id from {shares} where settlement_date = {on};

insert into {again} (settlement_date, revision, position, repayment_id, loan_id, receivable_id, note_id, investor_id,
                     currency, component, gross_amount, fee_amount, vat_amount, national_tax_amount, local_tax_amount,
                     net_amount)
select settlement_date, 2, position, repayment_id, loan_id, receivable_id, note_id, investor_id, currency, component,
       gross_amount + raised, fee_amount, vat_amount, national_tax_amount, local_tax_amount, net_amount + raised
  from {shares}, lateral (select case component when 'interest' then 5 else 0 end as raised) as more
 order by position;

update ledger.days set revision = 2 where settlement_date = {on};
