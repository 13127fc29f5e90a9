-- One row per bucket between consecutive boundaries ($1, instants joined by commas): how many receipts lie in it, and a
-- number that changes with any of them. The ledger computes the same number of what it has taken.
select width_bucket(received_at, string_to_array($1, ',')::timestamptz[]) as bucket,
       count(*) as receipts,
       sum(('x' || left(md5(concat_ws('|', repayment_id, loan_id, amount, (extract(epoch from received_at) * 1000000)::bigint,
                                      reverses_repayment_id)), 15))::bit(60)::bigint)::text as digest
  from core.repayments
 where isfinite(received_at)
 group by 1
