-- What lies in leaves of its own for one date: shares and postings.
select ledger.ensure_partition('ledger.shares', {on}, 1), ledger.ensure_partition('ledger.postings', {on}, 1),
       ledger.ensure_partition('ledger.postings', {on}, 0);

insert into {shares} (settlement_date, revision, position, repayment_id, loan_id, receivable_id, note_id, investor_id,
                      currency, component, gross_amount, fee_amount, vat_amount, national_tax_amount, local_tax_amount,
                      net_amount)
select {on}, 1, 2 * r.number - of_interest, 'R-' || r.id, r.loan_id,
       case of_interest when 1 then 'RI-' else 'RP-' end || r.id, 'N' || lpad(n::text, 6, '0'), 'I' || lpad(n::text, 6, '0'),
       'KRW', case of_interest when 1 then 'interest' else 'principal' end,
       case of_interest when 1 then 1000 else 9100 + n % 97 * 100 end, of_interest * 80, of_interest * 8, of_interest * 10,
       of_interest * 2, case of_interest when 1 then 900 else 9100 + n % 97 * 100 end
  from public.receipts r, generate_series(r.number * 10 - 9, r.number * 10) as n, (values (1), (0)) as kinds (of_interest)
 where r.on_date = {on}
 order by r.number, of_interest desc;

insert into {computed} (settlement_date, part, entry_id, account, currency, amount)
select {on}, 1, entries + 2 * number - is_first, account, 'KRW', sign * case when share is null then amount else share end
  from public.receipts,
       (values (1, 'receipts_in_transit', 1, null), (1, 'repayments_unallocated', -1, null),
               (0, 'repayments_unallocated', 1, null), (0, 'fee_income', -1, 800), (0, 'vat_payable', -1, 80),
               (0, 'tax_payable:national', -1, 100), (0, 'tax_payable:local', -1, 20)) as legs (is_first, account, sign, share)
 where on_date = {on}
 union all
select {on}, 1, r.entries + 2 * r.number, 'investor_payable:I' || lpad(n::text, 6, '0'), 'KRW', -(10000 + n % 97 * 100)
  from public.receipts r, generate_series(r.number * 10 - 9, r.number * 10) as n
 where r.on_date = {on}
 order by 3;

insert into {moved} (settlement_date, part, entry_id, account, currency, amount)
select {on}, 0, entries + 2 * number - is_first, account, 'KRW', sign * amount
  from public.payees,
       (values (1, 'investor_payable:', 1), (1, 'payouts_in_transit', -1), (0, 'payouts_in_transit', 1),
               (0, 'client_bank', -1)) as legs (is_first, kind, sign),
       lateral (select case kind when 'investor_payable:' then kind || investor_id else kind end as account) named
 where on_date = {on} and (is_first = 1 or not is_newest)
 order by 3;
