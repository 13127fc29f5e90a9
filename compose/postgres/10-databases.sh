#!/bin/bash
# Run by the postgres image on an empty volume; safe to run again on a server of your own, as a superuser.
#
# | role | may |
# |---|---|
# | airflow | owns `airflow`, Airflow's metadata |
# | settlement | owns `settlement_db`: only `settlement migrate` uses it |
# | settlement_tasks | what tasks and people log in as: adds to the books, changes no schema, owns nothing |
set -euo pipefail

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv settlement_password SETTLEMENT_DB_PASSWORD
\getenv tasks_password SETTLEMENT_TASKS_DB_PASSWORD
\getenv pages_password SETTLEMENT_PAGES_DB_PASSWORD

select format('create role %I %s', name, kind)
  from (values ('airflow', 'login'), ('settlement', 'login createrole'), ('settlement_tasks', 'login'),
               ('settlement_operators', 'login'),
               ('settlement_app', 'nologin'), ('settlement_reporting', 'nologin'),
               ('settlement_pages', 'nologin')) as role (name, kind)
 where not exists (select from pg_roles where rolname = name) \gexec
alter role airflow password :'airflow_password';
alter role settlement password :'settlement_password';
alter role settlement_tasks password :'tasks_password';
alter role settlement_operators password :'pages_password';
grant settlement_app, settlement_reporting, settlement_pages to settlement with admin option;
grant settlement_app, settlement_reporting to settlement_tasks;
grant settlement_pages to settlement_operators;

select format('create database %I owner %I', name, owner)
  from (values ('airflow', 'airflow'), ('settlement_db', 'settlement')) as database (name, owner)
 where not exists (select from pg_database where datname = name) \gexec
revoke all on database airflow, settlement_db from public;
grant connect on database settlement_db to settlement_tasks, settlement_operators;
SQL
