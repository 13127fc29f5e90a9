-- One row per window with its count and digest of what was taken: the number that `windows.sql` computes of the source.
select window_on, count(*) as receipts,
       sum(('x' || left(md5(concat_ws('|', repayment_id, loan_id, amount,
                                      (extract(epoch from received_at) * 1000000)::bigint,
                                      reverses_repayment_id)), 15))::bit(60)::bigint)::text as digest
  from ledger.repayments
 group by 1
