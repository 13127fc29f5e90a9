"""What stays as it was approved: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0007"


def upgrade() -> None:
    """Let the payee of a payout be whom it was prepared for."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: what protects the books is never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
