"""The text of every policy that was used: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0007"


def upgrade() -> None:
    """Keep the text of each policy that a revision is computed with, under the hash that the revision names."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: what protects the books is never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
