"""What the eventsourcing package needs: its checkpoints, and an index of its programs' events."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Daybook's own events are not in the index, so that they pay nothing for it.


def upgrade() -> None:
    """Create the checkpoints and the index."""
    op.execute(
        """
        create table trackings (
            tracker text not null,
            application_name text not null,
            notification_id bigint not null,
            token uuid not null,
            moved_at timestamptz not null default clock_timestamp(),
            primary key (tracker, application_name)
        ) with (fillfactor = 50);

        create index events_of_applications on events (position)
            where stream_type like 'eventsourcing%';
        """
    )


def downgrade() -> None:
    """Drop the checkpoints: the package's projections begin anew."""
    op.execute("drop index events_of_applications; drop table trackings")
