-- One row per bucket between consecutive boundaries ($1, instants joined by commas): how many receipts it holds.
select width_bucket(received_at, string_to_array($1, ',')::timestamptz[]) as bucket, count(*) as receipts
  from core.repayments
 group by 1
