"""The settlement database as the first settled day needs it: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the schemas `ledger` and `reporting`."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: the books are never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
