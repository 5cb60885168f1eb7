"""Whether the builders of a rebuild share the log in stripes, or the view by its keys."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: what is being built goes on by its keys."""
    op.execute("alter table projection_rebuilds add striped boolean not null default false")


def downgrade() -> None:
    """Drop it, and give up what is being built in stripes."""
    op.execute(
        """
        delete from projection_checkpoints c using projection_rebuilds r
         where r.striped and r.finished_at is null and c.side = 'building'
           and (c.name, c.version) = (r.name, r.version);
        update projection_rebuilds
           set state = 'cancelled', error = 'an older release took over',
               finished_at = clock_timestamp()
         where striped and finished_at is null;
        alter table projection_rebuilds drop striped;
        """
    )
