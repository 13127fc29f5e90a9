-- The first loan and date after which a note or receivable does not stand where all that moved it by then has taken it.
with moved as (
  select loan_id, settlement_date, 'note ' || note_id as subject, sum(gross_amount) as amount
    from ledger.standing_shares
   where component = 'principal'
   group by loan_id, settlement_date, note_id
  union all
  select loan_id, settlement_date, 'receivable ' || receivable_id, sum(amount)
    from ledger.standing_allocations
   group by loan_id, settlement_date, receivable_id
  union all
  select loan_id, opened_on, case kind when 'receivable_paid' then 'receivable ' else 'note ' end || subject_id, amount
    from ledger.opening_positions, ledger.opening
   where kind in ('note_principal_repaid', 'receivable_paid')
),
said as (
  select k.loan_id, k.settlement_date, 'note ' || x.id as subject, x.amount
    from ledger.positions k, unnest(k.note_ids, k.repaid) as x (id, amount)
  union all
  select k.loan_id, k.settlement_date, 'receivable ' || x.id, x.amount
    from ledger.positions k, unnest(k.receivable_ids, k.allocated) as x (id, amount)
),
summed as (
  select k.loan_id, k.settlement_date, m.subject, sum(m.amount) as amount
    from ledger.positions k
    join moved m on m.loan_id = k.loan_id and m.settlement_date <= k.settlement_date
   group by k.loan_id, k.settlement_date, m.subject
  having sum(m.amount) <> 0
)
select 'positions ' || loan_id || '/' || settlement_date || ' ' || subject
  from (select loan_id, settlement_date, subject
          from summed
          full join said using (loan_id, settlement_date, subject)
         where summed.amount is distinct from said.amount
        union all
        select loan_id, settlement_date, 'is missing'
          from moved
          left join ledger.positions k using (loan_id, settlement_date)
         where k.loan_id is null) wrong
 order by loan_id, settlement_date, subject
 limit 1
