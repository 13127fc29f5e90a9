-- Writes the part of a line that pays a month's sum.
insert into ledger.remittances (line_id, kind, month, currency, amount, matched_at)
values (:line_id, :kind, :month, :currency, :amount, :now)
