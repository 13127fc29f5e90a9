-- Goes on from `items`, and returns them in order.
select account, subject_id, currency, amount
  from open_items
 order by account, subject_id, currency
