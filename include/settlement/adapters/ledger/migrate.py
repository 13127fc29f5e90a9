"""Creates and upgrades the settlement database: database, schemas, roles, views. Safe to repeat."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

MIGRATIONS = Path(__file__).parent / "migrations"

ROLES_AND_GRANTS = Path(__file__).with_name("roles_and_grants.sql")

# What the tasks may change, table by table; everything else only grows.
CHANGEABLE = {
    "days": "update",
    "snapshots": "update",
    "control_results": "update",
    "backfills": "update",
    "runs": "update",
    "repayments": "update",
    "positions": "delete",
    "quarantine": "update",
    "refused_refunds": "update",
    "payouts": "update",
    "payout_files": "update",
    "transmissions": "update",
    "holds": "update, delete",
    "approvals": "update",
    "objections": "update",
    "bank_messages": "update",
    "statement_lines": "update",
    "breaks": "update",
    "break_decisions": "update",
    "refused_accounts": "update",
    "alert_outbox": "update, delete",
    "alert_roots": "update",
}

# What a person may do in the operator's pages: decide about breaks, answer for objections and files, upload
# statements, return refunds that are not paid, take on alerts.
DECIDED = {
    "entries": "insert",
    "postings": "insert",
    "matches": "insert",
    "breaks": "update",
    "break_history": "insert",
    "break_decisions": "insert, update",
    "payout_facts": "insert",
    "payout_history": "insert",
    "payouts": "update (booked_on)",  # a line that somebody matches shows on which day a payout left
    "payout_files": "update (state, rejections)",
    "refused_accounts": "insert, update",
    "statement_lines": "update",
    "objections": "update",
    "uploads": "insert",
    "refunds_undone": "insert",
    "alert_outbox": "insert, update",
    "alert_roots": "insert, update",
}


def migrate(url: str) -> str:
    """Create or upgrade the settlement database at `url`, its roles and views, and return the revision it is at.

    Raises sqlalchemy.exc.OperationalError: the server does not answer or refuses the login.
    """
    create_database(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            # Two migrations at once: the second waits and finds nothing to do.
            connection.execute(sa.text("select pg_advisory_xact_lock(hashtext('settlement.migrate'))"))
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.connection.cursor().execute(ROLES_AND_GRANTS.read_text(encoding="utf-8"))
            present = set(
                connection.execute(
                    sa.text("select relname from pg_class where relnamespace = 'ledger'::regnamespace")
                ).scalars()
            )
            for role, granted in (("settlement_app", CHANGEABLE), ("settlement_pages", DECIDED)):
                for table, privileges in granted.items():
                    if table in present:
                        connection.exec_driver_sql(f"grant {privileges} on ledger.{table} to {role}")
            return str(connection.execute(sa.text("select version_num from ledger.alembic_version")).scalar_one())
    finally:
        engine.dispose()


def needed() -> str:
    """Return the revision of the settlement database that this version of the product needs."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return str(ScriptDirectory.from_config(config).get_current_head())


def create_database(url: str) -> None:
    """Create the database at `url` unless it is there; its login needs the right to do so."""
    target = make_url(url)
    probe = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with probe.connect():
            return
    except sa.exc.OperationalError as error:
        if "does not exist" not in str(error.orig):
            raise
    finally:
        probe.dispose()
    admin = sa.create_engine(target.set(database="postgres"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            quoted = connection.dialect.identifier_preparer.quote(target.database or "")
            connection.exec_driver_sql(f"create database {quoted}")
    finally:
        admin.dispose()
