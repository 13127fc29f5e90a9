-- One row per settlement date and currency that charged a fee: the fees, and the VAT on them, of its newest revision.
select t.settlement_date, t.currency, t.fee_amount, t.vat_amount
  from ledger.days d
  join ledger.day_totals t using (settlement_date, revision)
 where d.settlement_date between :first and :last and (t.fee_amount <> 0 or t.vat_amount <> 0)
 order by t.settlement_date, t.currency
