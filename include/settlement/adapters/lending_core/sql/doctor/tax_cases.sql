-- One row per currency, tax class and date of disbursement that a rule of withholding has to cover in these loans.
select a.currency, i.tax_class, a.disbursed_on, count(*) as holdings
  from active a
  join core.notes n on n.loan_id = a.loan_id
  join core.note_holdings h on h.note_id = n.note_id
  join core.investors i on i.investor_id = h.investor_id
 group by a.currency, i.tax_class, a.disbursed_on
 order by a.currency, i.tax_class, a.disbursed_on
