-- Goes on from `items`. One row per account and currency: the sum of all that is between us and the bank, item by item.
select account, currency, sum(amount)::bigint
  from open_items
 group by account, currency
