-- One row per revision and currency of a settlement date: what it changed.
select revision, currency, reason, requested_by, computed_at, received_change, distributed_change, fee_change, vat_change,
       national_tax_change, local_tax_change, cost_change, credit_change, quarantined_change, refunded_change
  from reporting.revisions
 where settlement_date = :on
 order by revision, currency
