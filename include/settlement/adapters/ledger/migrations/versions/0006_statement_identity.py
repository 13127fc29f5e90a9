"""What names a statement: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Tell statements apart by account, currency, day, name and page, and keep what was read again."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: what protects the books is never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
