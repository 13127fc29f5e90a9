-- One row: how many postings a total of a settlement date is made of, and their sum. What a revision posted is what the
-- total is of, and what the bank and people did lies in part 0: there, only an extraction that a revision took back counts.
select count(*) as count, coalesce(sum(amount * :sign), 0)::bigint as amount
  from (select amount
          from ledger.postings
         where settlement_date = :on and part >= 1 and currency = :currency and starts_with(account, :account)
         union all
        select p.amount
          from ledger.postings p
          join ledger.entries e on e.entry_id = p.entry_id and e.settlement_date = :on
         where p.settlement_date = :on and p.part = 0 and p.currency = :currency and starts_with(p.account, :account)
           and e.event = 'repayment_extracted' and :account in ('receipts_in_transit', 'repayments_unallocated')) of_total
