-- The first message whose bytes have another hash than when it was kept.
select 'bank_messages ' || sha256
  from ledger.bank_messages
 where encode(sha256(content), 'hex') <> sha256
 order by sha256
 limit 1
