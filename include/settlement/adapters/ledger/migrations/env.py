"""Runs the migrations on the connection that `migrate()` hands over, inside its transaction."""

from alembic import context

connection = context.config.attributes["connection"]
connection.exec_driver_sql("create schema if not exists ledger")
context.configure(connection=connection, version_table_schema="ledger")
with context.begin_transaction():
    context.run_migrations()
