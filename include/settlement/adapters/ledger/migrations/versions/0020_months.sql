-- The end of a month.

-- One row per certificate of a month, chained as those of the days are. `until_number` is the newest certificate of a date
-- of the month when it was issued: a newer one makes the next revision. `body` is canonical JSON.
create table ledger.month_certificates (
  number        integer primary key check (number > 0),
  month         date not null check (extract(day from month) = 1),
  revision      integer not null check (revision > 0),
  until_number  integer not null references ledger.certificates,
  body          text not null,
  sha256        text not null unique,
  issued_at     timestamptz not null,
  unique (month, revision)
);
create trigger only_grows before update or delete or truncate on ledger.month_certificates
  for each statement execute function ledger.refuse_change();

-- One row per month, currency, tax class and rate: what was withheld, as the month's newest certificate says it.
create view reporting.withholding as
select to_char(c.month, 'YYYY-MM') as month, f.currency, f.tax_class, f.rate_ppm, f.gross_amount, f.national_tax_amount,
       f.local_tax_amount
  from (select distinct on (month) month, body::jsonb -> 'filing' as filing
          from ledger.month_certificates
         order by month, revision desc) c,
       jsonb_to_recordset(c.filing) as f (currency text, tax_class text, rate_ppm integer, gross_amount bigint,
                                          national_tax_amount bigint, local_tax_amount bigint);
