-- One row per month of which a date was certified since the month's newest certificate, with the number of the newest such.
select c.month, max(c.number) as until_number
  from (select date_trunc('month', settlement_date)::date as month, number from ledger.certificates where number > 0) c
 group by c.month
having max(c.number) > coalesce((select max(m.until_number) from ledger.month_certificates m where m.month = c.month), 0)
 order by c.month
