-- One row: the notes of these loans, and how many of them have each fault of their holders.
, held as (
  select n.note_id, a.disbursed_on, h.held_from, h.held_until_exclusive,
         lag(h.held_until_exclusive) over by_date as until_before, row_number() over by_date as place,
         lead(h.held_from) over by_date is null as is_last
    from active a
    join core.notes n on n.loan_id = a.loan_id
    left join core.note_holdings h on h.note_id = n.note_id
  window by_date as (partition by n.note_id order by h.held_from)
)
select count(distinct note_id) as notes,
       count(distinct note_id) filter (where held_from is null) as without,
       count(distinct note_id) filter (where place = 1 and held_from > disbursed_on) as begins_late,
       count(distinct note_id) filter (where place > 1 and until_before < held_from) as gap,
       count(distinct note_id) filter (where place > 1 and coalesce(until_before > held_from, true)) as overlap,
       count(distinct note_id) filter (where is_last and held_until_exclusive is not null) as ended
  from held
