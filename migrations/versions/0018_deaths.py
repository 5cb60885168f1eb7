"""How many workers died while they tried one event alone, apart from all the other deaths."""

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Add the count, which every step forward ends."""
    op.execute("alter table projection_checkpoints add deaths integer not null default 0")
    op.execute((SQL / "move_partitions.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Refuse: the function of before is not kept."""
    message = "Restore a backup, or make the views anew in a new database."
    raise RuntimeError(message)
