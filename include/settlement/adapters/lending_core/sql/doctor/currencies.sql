-- One row per currency of loans.
select currency, count(*) as loans from core.loans group by currency order by currency
