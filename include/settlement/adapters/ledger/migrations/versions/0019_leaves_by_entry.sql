-- As before, but the postings of an entry are added up before their entry is looked up: there are many postings to each,
-- and joined one by one they made PostgreSQL read the entries of every date that was ever settled.
create or replace function ledger.check_and_total_leaf(leaf text) returns void
language plpgsql security definer set search_path = ledger, pg_temp as $$
declare wrong record;
begin
  execute format('select s.entry_id, s.total
                    from (select entry_id, sum(amount) as total, min(currency) as first, max(currency) as last
                            from ledger.%I group by entry_id) s
                    left join ledger.entries e using (entry_id)
                   where s.total <> 0 or e.entry_id is null or e.currency <> s.first or e.currency <> s.last limit 1',
                 leaf) into wrong;
  if wrong.entry_id is not null then
    raise exception 'Entry [%] does not balance: its postings sum to [%]', wrong.entry_id, wrong.total
      using errcode = 'integrity_constraint_violation';
  end if;
  execute format('insert into ledger.balances as b (account, currency, amount)
                  select account, currency, sum(amount) from ledger.%I group by account, currency
                  on conflict (account, currency) do update set amount = b.amount + excluded.amount', leaf);
end $$;
