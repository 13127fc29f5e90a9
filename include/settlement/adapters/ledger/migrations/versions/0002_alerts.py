"""The alerts: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the outbox of the alerts and its view."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: what people were told is never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
