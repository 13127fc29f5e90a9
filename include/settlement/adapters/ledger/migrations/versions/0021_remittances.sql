-- Which month's sum a line hands on.

-- One row per line, kind and month: the part of the line that pays the month's sum. Of a period of several months it is the
-- last one.
create table ledger.remittances (
  line_id     text not null references ledger.statement_lines,
  kind        text not null check (kind in ('national_tax', 'local_tax', 'vat', 'fee', 'cost')),
  month       date not null check (extract(day from month) = 1),
  currency    text not null,
  amount      bigint not null check (amount <> 0),     -- positive when it leaves the custody account
  matched_at  timestamptz not null,
  primary key (line_id, kind, month)
);
create trigger only_grows before update or delete or truncate on ledger.remittances
  for each statement execute function ledger.refuse_change();

-- The parts of a line are the line, as it is matched with the account that it was handed on from.
create function ledger.check_remittance() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
begin
  if (select sum(r.amount) from ledger.remittances r
       where r.line_id = new.line_id and r.kind = new.kind and r.currency = new.currency)
     is distinct from
     (select -m.amount
        from ledger.matches m
        join ledger.statement_lines l using (line_id)
       where m.line_id = new.line_id and m.subject_kind = 'account' and l.currency = new.currency
         and m.subject_id = case new.kind when 'national_tax' then 'tax_payable:national' when 'local_tax' then 'tax_payable:local'
                                          when 'vat' then 'vat_payable' when 'fee' then 'fee_income' else 'cost_recovered' end) then
    raise exception 'Line [%] hands on another amount of [%] than is matched with months', new.line_id, new.kind
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
revoke all on function ledger.check_remittance() from public;
create constraint trigger whole_lines after insert on ledger.remittances deferrable initially deferred
  for each row execute function ledger.check_remittance();

-- One row per month, currency and kind: what was kept back by the month's newest certificate, and what was taken over.
create view ledger.month_sums as
select month, currency, kind, sum(amount)::bigint as amount
  from (select c.month, p.currency, p.kind, p.charged_amount + p.corrected_amount as amount
          from (select distinct on (month) month, body::jsonb -> 'payables' as payables
                  from ledger.month_certificates
                 order by month, revision desc) c,
               jsonb_to_recordset(c.payables) as p (currency text, kind text, charged_amount bigint, corrected_amount bigint)
         union all
        select date_trunc('month', o.opened_on)::date, p.currency,
               case p.kind when 'tax_payable:national' then 'national_tax' when 'tax_payable:local' then 'local_tax'
                           when 'vat_payable' then 'vat' when 'fee_income' then 'fee' else 'cost' end,
               p.amount
          from ledger.opening o, ledger.opening_positions p
         where p.kind in ('tax_payable:national', 'tax_payable:local', 'vat_payable', 'fee_income', 'cost_recovered')) s
 group by month, currency, kind;

-- One row per month, currency and kind: what was kept back, and what was handed on for it; of a period of several months it
-- stands at the last one.
create view reporting.months as
select to_char(month, 'YYYY-MM') as month, currency, kind, coalesce(s.amount, 0) as amount,
       coalesce(r.amount, 0) as remitted_amount, d.due_on
  from ledger.month_sums s
  full join (select month, currency, kind, sum(amount)::bigint as amount
               from ledger.remittances
              group by month, currency, kind) r using (month, currency, kind)
  left join (select distinct on (month, p.currency, p.kind) c.month, p.currency, p.kind, p.due_on
               from ledger.month_certificates c,
                    jsonb_to_recordset(c.body::jsonb -> 'payables') as p (currency text, kind text, due_on date)
              order by month, p.currency, p.kind, c.revision desc) d using (month, currency, kind);
