-- The source of the worked day: one loan, three notes, an interest and a principal receivable, one over-payment.
insert into core.loans values ('L1', 'KRW', '2026-01-15');
insert into core.investors (investor_id, name, tax_class, payout_account, payout_bank) values
  ('A', '김하나', 'individual', '110-20-300001', '088'),
  ('B', '주식회사 두리', 'corporation', '110-20-300002', '004'),
  ('C', '이세찬', 'individual', '110-20-300003', '020');
insert into core.notes values ('N1', 'L1', 500000), ('N2', 'L1', 300000), ('N3', 'L1', 200000);
insert into core.note_holdings values
  ('N1', 'A', '2026-01-15', null), ('N2', 'B', '2026-01-15', null), ('N3', 'C', '2026-01-15', null);
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values
  ('L1-1-I', 'L1', 1, 'interest', '2026-02-16', 10000),
  ('L1-1-P', 'L1', 1, 'principal', '2026-02-16', 80000);
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values
  ('R1', 'L1', '2026-02-16 11:00+09', 95000, 'REF-R1');
