-- One row: a message, byte for byte.
select name, content from ledger.bank_messages where sha256 = :id
