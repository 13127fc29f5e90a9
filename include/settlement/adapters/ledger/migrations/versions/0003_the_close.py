"""Reconciliation and the close of the day: the SQL of the same name beside this file."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Let matches hold several lines and subjects, keep decisions on breaks, and seal closed days."""
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().connection.cursor().execute(sql)


def downgrade() -> None:
    """Refuse: what was certified is never dropped by a migration."""
    raise NotImplementedError("The settlement database is never migrated downwards: restore a backup instead")
