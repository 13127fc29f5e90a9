-- One row per window with its count and digest of what was taken: the numbers that `windows.sql` computes of the source.
select window_on, receipts, digest::text as digest
  from ledger.windows_taken
