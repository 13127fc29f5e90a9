-- One row: a payment file, without its bytes, with how many of its payouts nobody knows of.
select f.file_id, f.settlement_date, f.currency, f.payment_count, f.amount, f.state, f.created_at, f.sent_at, f.sha256,
       f.rejections, f.duplicates,
       (select count(*) from ledger.payouts p where p.file_id = f.file_id and p.state in ('submitted', 'unknown')) as unproven
  from ledger.payout_files f
 where f.file_id = :id
