-- One row per investor, loan and revision whose frozen inputs name the tax class: the interest of a settlement date. What a
-- reversal takes back is what its original made: the rows of both that say the same are numbered, and paired one by one.
with of_day as (
  select s.settlement_date, s.revision, s.position, s.loan_id, s.receivable_id, s.note_id, s.investor_id, s.currency,
         s.component, s.gross_amount, s.national_tax_amount, s.local_tax_amount,
         coalesce(r.reverses_repayment_id, s.repayment_id) as repayment_id, r.reverses_repayment_id is not null as is_back
    from ledger.standing_shares s
    left join ledger.repayments r using (repayment_id)
   where s.settlement_date = :on and s.component = any(:components)
),
back as (
  select *, row_number() over (partition by repayment_id, receivable_id, note_id, investor_id, component, gross_amount,
                                            national_tax_amount, local_tax_amount
                                   order by position) as place
    from of_day
   where is_back
),
made as (
  select s.settlement_date as frozen_on, s.revision as frozen_revision, s.repayment_id, s.receivable_id, s.note_id,
         s.investor_id, s.component, s.gross_amount, s.national_tax_amount, s.local_tax_amount,
         row_number() over (partition by s.repayment_id, s.receivable_id, s.note_id, s.investor_id, s.component,
                                         s.gross_amount, s.national_tax_amount, s.local_tax_amount
                                order by s.settlement_date, s.position) as place
    from ledger.standing_shares s
   where (s.loan_id, s.repayment_id) in (select loan_id, repayment_id from back) and s.settlement_date <= :on
),
taxed as (
  select settlement_date, settlement_date as frozen_on, revision as frozen_revision, loan_id, investor_id, currency,
         gross_amount, national_tax_amount, local_tax_amount
    from of_day
   where not is_back
   union all
  select b.settlement_date, m.frozen_on, m.frozen_revision, b.loan_id, b.investor_id, b.currency, b.gross_amount,
         b.national_tax_amount, b.local_tax_amount
    from back b
    join made m on (m.repayment_id, m.receivable_id, m.note_id, m.investor_id, m.component, m.place)
                 = (b.repayment_id, b.receivable_id, b.note_id, b.investor_id, b.component, b.place)
               and (m.gross_amount, m.national_tax_amount, m.local_tax_amount)
                 = (-b.gross_amount, -b.national_tax_amount, -b.local_tax_amount)
)
select settlement_date, frozen_on, frozen_revision, loan_id, investor_id, currency,
       sum(gross_amount)::bigint as gross_amount, sum(national_tax_amount)::bigint as national_tax_amount,
       sum(local_tax_amount)::bigint as local_tax_amount
  from taxed
 group by settlement_date, frozen_on, frozen_revision, loan_id, investor_id, currency
 order by investor_id, loan_id, currency, frozen_on, frozen_revision
