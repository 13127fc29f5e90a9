-- One row per settlement date on which an entry of a payout stands.
select distinct settlement_date from ledger.entries where payout_id = :id order by settlement_date
