"""What a rebuild could not apply is kept with it; what earlier ones said of rows is not."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; take out the rows that were compared, and what Postgres said of some.

    Some may be of people who have been forgotten since.
    """
    op.execute(
        r"""
        alter table projection_rebuilds
            add failures integer not null default 0,
            add failed jsonb not null default '[]';
        update projection_rebuilds
           set comparison = null, error = split_part(error, E'\n', 1)
         where finished_at is not null;
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("alter table projection_rebuilds drop failures, drop failed")
