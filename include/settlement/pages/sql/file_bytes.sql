-- One row: a payment file, byte for byte.
select content from ledger.payout_files where file_id = :id
