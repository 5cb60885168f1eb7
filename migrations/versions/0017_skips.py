"""Which events an operator has left out of a view, for a rebuild to leave them out as well."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        create table projection_skips (
            name text not null,
            key text not null,
            position bigint not null,
            skipped_at timestamptz not null default clock_timestamp(),
            primary key (name, key, position)
        );
        create index on projection_skips (name, position);
        """
    )


def downgrade() -> None:
    """Drop it: rebuilds stop at those events again."""
    op.execute("drop table projection_skips")
