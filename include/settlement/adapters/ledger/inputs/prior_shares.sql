-- Goes on from `prior`: one row per share of those allocations.
select a.allocation_id, s.note_id, s.investor_id, s.gross_amount, s.fee_amount, s.vat_amount, s.national_tax_amount,
       s.local_tax_amount, s.net_amount
  from prior a
  join ledger.shares s using (settlement_date, revision, position)
 order by a.allocation_id, s.note_id
