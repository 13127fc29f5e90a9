-- What the statements that go on from here look at: the receipts and payouts that an entry has touched since the newest
-- certificate, and those that it names; of a reversal both sides.
with touched as (
  select e.repayment_id, e.payout_id from ledger.entries e where e.entry_id > :since
),
receipts as (
  select repayment_id as subject_id from touched where repayment_id is not null
   union
  select unnest(cast(:named as text[])) collate "C"
),
repayments as (
  select subject_id from receipts
   union
  select r.reversed_by
    from receipts
    join ledger.repayments r on r.repayment_id = subject_id
   where r.reversed_by is not null
),
payouts as (
  select payout_id as subject_id from touched where payout_id is not null
   union
  select unnest(cast(:named as text[]))
)
