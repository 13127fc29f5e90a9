-- The payouts of these of which a message or a person said something, beside what lines show.
select distinct payout_id from ledger.payout_facts where payout_id = any(:ids)
