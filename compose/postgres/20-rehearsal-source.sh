#!/bin/bash
# An empty lending core to rehearse with, made only where LENDING_CORE_ADDRESS names this server. A lender's own
# database takes its place by being named there. The pipeline's login reads it, and nothing else.
set -euo pipefail
case "$LENDING_CORE_ADDRESS" in postgres:*) ;; *) exit 0 ;; esac

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv reader LENDING_CORE_USER
\getenv password LENDING_CORE_PASSWORD
\getenv schema LENDING_CORE_SCHEMA

select format('create role %I login', :'reader') where not exists (select from pg_roles where rolname = :'reader') \gexec
alter role :"reader" password :'password';
alter role :"reader" set default_transaction_read_only = on;

select 'create database lending_core' where not exists (select from pg_database where datname = 'lending_core') \gexec
revoke all on database lending_core from public;
grant connect on database lending_core to :"reader";

\connect lending_core
select to_regnamespace('core') is null as is_empty \gset
\if :is_empty
  \i :schema
\endif
grant usage on schema core to :"reader";
grant select on all tables in schema core to :"reader";
SQL
