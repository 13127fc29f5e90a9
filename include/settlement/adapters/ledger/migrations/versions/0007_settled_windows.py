"""A settled date keeps its window: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Keep the window of each settlement date with it, as it was when the date was settled."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: what protects the books is never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
