-- A replay decides refunds again, so what a person returned of one follows: it stands as long as its entry does, and what
-- takes its place is no person's word (`is_again`). Returned is what a person said, of what the refund took by then.
alter table ledger.refunds_undone add column is_again boolean not null default false;

create view ledger.standing_refunds_undone as
select u.* from ledger.refunds_undone u
 where not exists (select from ledger.entries x where x.reverses_entry_id = u.entry_id and x.event = 'refund_undone');

create or replace view ledger.credit_changes as
select settlement_date, position, loan_id, repayment_id, currency, amount, event
  from ledger.standing_credits
 union all
select settlement_date, null, loan_id, repayment_id, currency, amount, 'refund_undone'
  from ledger.standing_refunds_undone;

-- Neither a payout nor a refund that is undone takes more than is owed. An entry that undoes one of these gives back.
create or replace function ledger.check_and_total_postings() returns trigger language plpgsql security definer
set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  select entry_id, sum(amount) as total into wrong from posted
   group by entry_id having sum(amount) <> 0 or count(distinct currency) > 1 limit 1;
  if found then
    raise exception 'Entry [%] does not balance: its postings sum to [%]', wrong.entry_id, wrong.total
      using errcode = 'integrity_constraint_violation';
  end if;
  select p.entry_id into wrong from posted p left join ledger.entries e using (entry_id)
   where e.entry_id is null or e.currency <> p.currency limit 1;
  if found then
    raise exception 'Posting of entry [%] has no entry in its currency', wrong.entry_id
      using errcode = 'integrity_constraint_violation';
  end if;
  insert into ledger.balances as b (account, currency, amount)
  select account, currency, sum(amount) from posted group by account, currency order by account, currency
  on conflict (account, currency) do update set amount = b.amount + excluded.amount;
  select case e.event when 'payout_prepared' then 'Payout' else 'What is undone' end as what, b.account, b.amount into wrong
    from posted p join ledger.entries e using (entry_id)
    join ledger.balances b on b.account = p.account and b.currency = p.currency
   where e.event in ('payout_prepared', 'refund_undone') and e.reverses_entry_id is null and p.amount > 0 and b.amount > 0
   limit 1;
  if found then
    raise exception '% above the balance: [%] would stand at [%]', wrong.what, wrong.account, wrong.amount
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;
