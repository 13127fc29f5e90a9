-- Write that the file is handed to the bank from here on, and return which time it is.
insert into ledger.transmissions (file_id, number, run_id, started_at)
select :file_id, coalesce(max(number), 0) + 1, :run, :now from ledger.transmissions where file_id = :file_id
returning number
