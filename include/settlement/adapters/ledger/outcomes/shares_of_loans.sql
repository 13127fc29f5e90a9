-- One row per share of loans of a settlement date, as the books stand, with the microsecond since 1970 when its money came.
select s.position, s.repayment_id, (extract(epoch from r.received_at) * 1000000)::bigint as received_at, s.loan_id,
       s.receivable_id, s.component, s.note_id, s.investor_id, s.currency, s.gross_amount, s.fee_amount, s.vat_amount,
       s.national_tax_amount, s.local_tax_amount, s.national_tax_amount + s.local_tax_amount as tax_amount, s.net_amount
  from ledger.standing_shares s
  left join ledger.repayments r using (repayment_id)
 where s.settlement_date = %(on)s and s.loan_id = any(%(loans)s)
 order by s.position, s.note_id
