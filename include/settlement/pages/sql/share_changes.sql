-- One row per share of an investor that a later revision of the date changed, net before it and after it: of a loan that
-- it ran again, the rows that stood until then, and those that it wrote.
with compared as (
  select n.revision, x.loan_id, x.repayment_id, x.receivable_id, x.note_id, x.currency, x.component,
         case when x.revision = n.revision then 1 else 0 end as is_new,
         x.gross_amount, x.fee_amount, x.vat_amount, x.national_tax_amount, x.local_tax_amount, x.net_amount
    from ledger.replayed_loans n
    join ledger.shares x on x.settlement_date = n.settlement_date and x.loan_id = n.loan_id and x.revision <= n.revision
   where n.settlement_date = :on and x.settlement_date = :on and x.investor_id = :id
     and not exists (select from ledger.replayed_loans m
                      where m.settlement_date = n.settlement_date and m.loan_id = n.loan_id and m.revision > x.revision
                        and m.revision < n.revision)
)
select revision, loan_id, repayment_id, receivable_id, note_id, currency, component,
       (sum(net_amount * (1 - is_new)))::bigint as before, (sum(net_amount * is_new))::bigint as after
  from compared
 group by revision, loan_id, repayment_id, receivable_id, note_id, currency, component
having sum(gross_amount * (2 * is_new - 1)) <> 0 or sum(net_amount * (2 * is_new - 1)) <> 0
    or sum(fee_amount * (2 * is_new - 1)) <> 0 or sum(vat_amount * (2 * is_new - 1)) <> 0
    or sum(national_tax_amount * (2 * is_new - 1)) <> 0 or sum(local_tax_amount * (2 * is_new - 1)) <> 0
 order by revision, repayment_id, receivable_id, note_id, currency, component
