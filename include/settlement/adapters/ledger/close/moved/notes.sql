-- One row per note of which principal was repaid, with what the opening says was repaid of it before. It is read by COPY.
select note_id, (sum(x.gross_amount) + coalesce(max(o.amount), 0))::bigint
  from ledger.standing_shares x
  left join ledger.opening_positions o on o.kind = 'note_principal_repaid' and o.subject_id = x.note_id
 where x.component = 'principal'
 group by note_id
 order by note_id
