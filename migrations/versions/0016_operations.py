"""What became of what operators asked of projections: the effect and this note are one commit."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the notes; a rebuild goes on after its note, which then has no outcome yet."""
    op.execute(
        """
        create table projection_operations (
            id uuid primary key,
            projection text not null,
            rebuild_id bigint,
            outcome text,
            detail text,
            noted_at timestamptz not null default clock_timestamp()
        );
        """
    )


def downgrade() -> None:
    """Drop the notes; what came of each request is in the log."""
    op.execute("drop table projection_operations")
