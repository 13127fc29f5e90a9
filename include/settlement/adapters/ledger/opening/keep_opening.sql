-- Keep that the lender was taken over, with the hash of its positions: the same rows have the same.
insert into ledger.opening (first_date, opened_on, opens_at, sha256, taken_at)
select :first, :on, :opens_at,
       encode(sha256(convert_to(string_agg(concat_ws(E'\x1f', kind, subject_id, currency, amount), E'\n'
                                           order by kind, subject_id, currency), 'UTF8')), 'hex'),
       :now
  from ledger.opening_positions
returning first_date, opens_at, opened_on, sha256
