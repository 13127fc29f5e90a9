-- One row per loan that has receivables on which something was paid before the day: its place among the loans
-- asked for, the ids and the amounts, joined by the unit separator. It is read by COPY, whose parameters are written so.
select l.number - 1, array_to_string(receivable_ids, E'\x1f'), array_to_string(allocated, E'\x1f')
  from unnest(%(loans)s::text[]) with ordinality as l (loan_id, number)
 cross join lateral (select receivable_ids, allocated
                       from ledger.positions p
                      where p.loan_id = l.loan_id and p.settlement_date < %(on)s
                      order by p.settlement_date desc
                      limit 1) newest
 where cardinality(receivable_ids) > 0
