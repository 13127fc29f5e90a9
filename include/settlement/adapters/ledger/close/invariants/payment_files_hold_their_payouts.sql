-- The first payment file that says another number or amount than the payouts that name it.
select 'payout_files ' || f.file_id
  from ledger.payout_files f
  left join ledger.payouts p using (file_id)
 group by f.file_id
having count(p.payout_id) <> f.payment_count or coalesce(sum(p.amount), 0) <> f.amount
 order by f.file_id
 limit 1
