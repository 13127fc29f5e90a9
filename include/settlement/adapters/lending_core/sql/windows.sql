-- One row per bucket between consecutive boundaries ($1, instants joined by commas): how many receipts lie in it, and a
-- number that changes with any of them. The ledger keeps the same number of what it has taken.
select width_bucket(received_at, (select string_to_array($1, ',')::timestamptz[])) as bucket,
       count(*) as receipts,
       sum(hashtextextended(repayment_id collate "C",
             hashtextextended(loan_id collate "C",
               hashtextextended(coalesce(reverses_repayment_id, '') collate "C",
                 hashint8extended(amount,
                   timestamp_hash_extended(received_at at time zone 'UTC', 0))))))::text as digest
  from core.repayments
 where isfinite(received_at) and received_at >= (select min(at) from unnest(string_to_array($1, ',')::timestamptz[]) at)
 group by 1
